import NapTensor

/// The images of another data set with the channels that a network takes, where it takes them.
package struct ArrangedImages: DerivedDataset {
  package let base: any Dataset
  private let channels: Preset.Channels
  private let layout: Preset.Layout
  package let imageShape: [Int]

  /// - Returns: `nil` where the images are right as they are: they have those channels already, or are numbers.
  package init?(_ base: any Dataset, for preset: Preset) {
    let shape = base.imageShape
    guard shape.count == 3, !base.isOfNumbers else { return nil }
    // One channel is grey already, and has no order.
    channels = shape[0] == 3 ? preset.channels : .rgb
    layout = preset.layout
    guard channels != .rgb || layout != .nchw else { return nil }
    self.base = base
    let count = channels == .grey ? 1 : shape[0]
    imageShape =
      layout == .nchw ? [count, shape[1], shape[2]] : [shape[1], shape[2], count]
  }

  package var inputs: [Field] { [Field(shape: imageShape)] + base.inputs.dropFirst() }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    var planes = [UInt8](repeating: 0, count: base.imageShape.product)
    try base.copyPixels(of: index, into: &planes)
    arrange(planes, into: pixels)
  }

  package func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) throws -> Bool {
    var planes = [UInt8](repeating: 0, count: base.imageShape.product)
    guard try base.copyPixels(of: index, cropped: crop, into: &planes) else { return false }
    arrange(planes, into: pixels)
    return true
  }

  private func arrange(_ planes: [UInt8], into pixels: UnsafeMutablePointer<UInt8>) {
    let size = base.imageShape[1] * base.imageShape[2]
    let count = imageShape.product / size
    let (step, plane) = layout == .nchw ? (1, size) : (count, 1)
    for pixel in 0..<size {
      for channel in 0..<count {
        let value: UInt8 =
          switch channels {
          case .rgb: planes[channel * size + pixel]
          case .bgr: planes[(count - 1 - channel) * size + pixel]
          case .grey:
            Self.brightness(planes[pixel], planes[size + pixel], planes[2 * size + pixel])
          }
        pixels[pixel * step + channel * plane] = value
      }
    }
  }

  /// ITU-R 601-2 luma, as Pillow's `convert("L")` rounds it.
  private static func brightness(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    var sum = 0x8000 + Int(red) * 19_595
    sum += Int(green) * 38_470
    sum += Int(blue) * 7471
    return UInt8(sum >> 16)
  }
}

extension Dataset {
  /// Whether examples are kept as the numbers that the network takes.
  package var isOfNumbers: Bool {
    guard count > 0 else { return false }
    let numbers = UnsafeMutablePointer<Float>.allocate(capacity: max(1, imageShape.product))
    defer { numbers.deallocate() }
    return (try? copyNumbers(of: 0, into: numbers)) ?? false
  }
}
