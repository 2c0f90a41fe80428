import NapTensor

/// What is done to one image in training: where it is cropped from, and whether it is mirrored.
struct Variation {
  /// Offset of the crop against the image, in pixels.
  var down = 0
  var right = 0
  var isMirrored = false

  static let none = Variation()

  /// Drawn for one image of one epoch, whatever thread prepares it.
  init(_ preset: Preset, seed: Seed, epoch: Int, index: Int) {
    var generator = seed.derived("augment").derived(epoch).derived(index).generator()
    if preset.cropPadding > 0 {
      down = Int.random(in: -preset.cropPadding...preset.cropPadding, using: &generator)
      right = Int.random(in: -preset.cropPadding...preset.cropPadding, using: &generator)
    }
    guard preset.flips else { return }
    // Every two epochs show both sides of every image.
    // Source: Jordan 2024, arXiv:2404.00498.
    var coin = seed.derived("mirror").derived(index).generator()
    isMirrored = Bool.random(using: &coin) != (epoch % 2 == 1)
  }

  private init() {}
}
