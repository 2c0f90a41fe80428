/// Bilinear resizing whose filter grows as the image shrinks, so that nothing is skipped: the same numbers as
/// Pillow's `Image.resize(size, BILINEAR)`, which torchvision's `Resize` is, to the last bit.
///
/// Source: Pillow, `src/libImaging/Resample.c`; its versions from 13 on take columns before rows where an image is
/// tall, which most networks were trained without, and which differs by 1 at most.
struct Resampling {
  /// Weights of the source pixels that make each pixel, along one axis; they sum to `1 << precision`.
  private let weights: [[Int32]]
  /// The first source pixel of each.
  private let starts: [Int]

  /// Bytes, a sign and a carry stay within 32 bits.
  private static let precision: Int32 = 32 - 8 - 2

  init(from size: Int, to newSize: Int) {
    let scale = Double(size) / Double(newSize)
    let support = max(1, scale)
    var (weights, starts): ([[Int32]], [Int]) = ([], [])
    for pixel in 0..<newSize {
      let center = (Double(pixel) + 0.5) * scale
      let first = max(0, Int(center - support + 0.5))
      let end = min(size, Int(center + support + 0.5))
      // Pillow multiplies by the inverse, and that differs in the last bit.
      let inverse = 1 / support
      let shares = (first..<end).map { source in
        max(0, 1 - abs((Double(source) - center + 0.5) * inverse))
      }
      let sum = shares.reduce(0, +)
      weights.append(
        shares.map { Int32(0.5 + (sum != 0 ? $0 / sum : $0) * Double(1 << Self.precision)) })
      starts.append(first)
    }
    (self.weights, self.starts) = (weights, starts)
  }

  /// Makes one row of pixels out of others, each of `channels` bytes.
  ///
  /// - Parameter step: from one source pixel to the next, in bytes.
  fileprivate func apply(
    _ source: UnsafePointer<UInt8>, step: Int, to target: UnsafeMutablePointer<UInt8>,
    step targetStep: Int, channels: Int
  ) {
    for (pixel, start) in starts.enumerated() {
      weights[pixel].withUnsafeBufferPointer { weights in
        for channel in 0..<channels {
          var sum: Int32 = 1 << (Self.precision - 1)
          var from = source + start * step + channel
          for weight in weights {
            sum &+= Int32(from.pointee) &* weight
            from += step
          }
          target[pixel * targetStep + channel] = UInt8(clamping: sum >> Self.precision)
        }
      }
    }
  }
}

extension DecodedImage {
  /// The image in another size; rows first, then columns, each rounded to bytes.
  func resized(width newWidth: Int, height newHeight: Int) -> DecodedImage {
    var result = self
    if newWidth != width {
      let rows = Resampling(from: width, to: newWidth)
      var target = [UInt8](repeating: 0, count: newWidth * height * 3)
      pixels.withUnsafeBufferPointer { source in
        target.withUnsafeMutableBufferPointer { target in
          guard let source = source.baseAddress, let target = target.baseAddress else { return }
          for y in 0..<height {
            rows.apply(
              source + y * width * 3, step: 3, to: target + y * newWidth * 3, step: 3, channels: 3)
          }
        }
      }
      result = DecodedImage(width: newWidth, height: height, pixels: target)
    }
    guard newHeight != height else { return result }
    let columns = Resampling(from: height, to: newHeight)
    let row = newWidth * 3
    var target = [UInt8](repeating: 0, count: newHeight * row)
    result.pixels.withUnsafeBufferPointer { source in
      target.withUnsafeMutableBufferPointer { target in
        guard let source = source.baseAddress, let target = target.baseAddress else { return }
        // A row is one wide pixel of many channels.
        columns.apply(source, step: row, to: target, step: row, channels: row)
      }
    }
    return DecodedImage(width: newWidth, height: newHeight, pixels: target)
  }
}
