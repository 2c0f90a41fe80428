/// Writes images of bytes as the numbers that a network takes, varied.
struct BatchWriting {
  /// By channel, of every byte.
  private let tables: [[Float]]
  private let height: Int
  private let width: Int
  /// From one channel, row or column to the next, in numbers.
  private let strides: (channel: Int, row: Int, column: Int)

  /// - Parameter shape: of an image as it is laid out; one of another number of axes is of numbers.
  init?(_ preset: Preset, shape: [Int]) {
    guard shape.count == 3 else { return nil }
    let channels: Int
    switch preset.layout {
    case .nchw:
      (channels, height, width) = (shape[0], shape[1], shape[2])
      strides = (height * width, width, 1)
    case .nhwc:
      (height, width, channels) = (shape[0], shape[1], shape[2])
      strides = (1, width * channels, channels)
    }
    tables = (0..<channels).map(preset.table)
  }

  func write(
    _ bytes: UnsafePointer<UInt8>, _ variation: Variation, to image: UnsafeMutablePointer<Float>
  ) {
    for (channel, table) in tables.enumerated() {
      table.withUnsafeBufferPointer { table in
        let black = table[0]
        for y in 0..<height {
          let row = image + channel * strides.channel + y * strides.row
          let sourceY = y + variation.down
          let source = bytes + channel * strides.channel + sourceY * strides.row
          let isInside = (0..<height).contains(sourceY)
          for x in 0..<width {
            let sourceX = x + variation.right
            let value =
              isInside && sourceX >= 0 && sourceX < width
              ? table[Int(source[sourceX * strides.column])] : black
            row[(variation.isMirrored ? width - 1 - x : x) * strides.column] = value
          }
        }
      }
    }
  }
}
