package import NapTensor

/// Images each blended with a weaker one of another image of the same data set.
///
/// A trained network has seen its training images and classifies nearly all of them right, so that
/// they tell little about what it loses; blends it has never seen.
package struct MixedDataset: Dataset {
  private let base: any Dataset
  private let partners: [Int]
  /// The share of the other image, in parts of 256.
  private let share: Int
  private let repeats: Int

  /// - Parameters:
  ///   - share: of the other image, in `0...0.5`.
  ///   - repeats: how many partners each image gets.
  package init(_ base: any Dataset, share: Double, repeats: Int = 1, seed: Seed) {
    self.base = base
    self.share = Int((256 * share).rounded())
    self.repeats = repeats
    var generator = seed.derived("mix").generator()
    partners = (0..<repeats * base.count).map { _ in
      Int.random(in: 0..<max(1, base.count), using: &generator)
    }
  }

  package var count: Int { base.count * repeats }
  package var classNames: [String] { base.classNames }
  package var imageShape: [Int] { base.imageShape }
  package func label(at index: Int) -> Int { base.label(at: index % base.count) }

  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) -> Bool {
    guard base.copyNumbers(of: index % base.count, into: numbers) else { return false }
    let size = base.imageShape.product
    let weight = Float(share) / 256
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { other in
      guard let address = other.baseAddress,
        base.copyNumbers(of: partners[index], into: address)
      else { return false }
      for i in 0..<size { numbers[i] += weight * (address[i] - numbers[i]) }
      return true
    }
  }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    let size = base.imageShape.product
    try base.copyPixels(of: index % base.count, into: pixels)
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: size) { other in
      guard let address = other.baseAddress else { return }
      try base.copyPixels(of: partners[index], into: address)
      for i in 0..<size {
        pixels[i] = UInt8((Int(pixels[i]) * (256 - share) + Int(address[i]) * share) >> 8)
      }
    }
  }
}
