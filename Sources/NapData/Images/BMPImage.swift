import Foundation

extension ImageKind {
  static let bmp = ImageKind(
    name: "BMP", endings: ["bmp"],
    recognizes: { $0.has(Array("BM".utf8)) },
    size: { data in BMPImage(data).map { ($0.width, $0.height) } },
    decode: { data, _, _ in BMPImage(data)?.decode(data) })
}

/// A Windows bitmap without compression, of 24 or 32 bits a pixel, or 8 bits with a palette.
private struct BMPImage {
  let width: Int
  let height: Int
  private let isTopDown: Bool
  private let bits: Int
  /// Where the pixels begin.
  private let start: Int
  private let palette: (start: Int, colors: Int)

  /// Reads the head; `nil` for what has another layout.
  init?(_ data: Data) {
    func number(_ offset: Int, _ bytes: Int) -> Int? {
      data.number(at: offset, bytes: bytes, bigEndian: false)
    }
    func signed(_ offset: Int) -> Int? {
      number(offset, 4).map { Int(Int32(truncatingIfNeeded: $0)) }
    }
    guard let start = number(10, 4), let head = number(14, 4), head >= 40,
      let width = signed(18), let height = signed(22), let bits = number(28, 2),
      let compression = number(30, 4), let colors = number(46, 4)
    else { return nil }
    // Pixels whose layout is told by masks are all right where the masks tell the usual one.
    let hasUsualMasks =
      compression == 3 && bits == 32 && number(54, 4) == 0xff_0000 && number(58, 4) == 0xff00
      && number(62, 4) == 0xff
    guard compression == 0 || hasUsualMasks, [8, 24, 32].contains(bits), width > 0, height != 0
    else { return nil }
    (self.width, self.height, isTopDown) = (width, abs(height), height < 0)
    (self.bits, self.start) = (bits, start)
    palette = (14 + head, colors == 0 ? 256 : min(colors, 256))
  }

  /// `nil` where bytes are missing, or a pixel has a color that the palette has not.
  func decode(_ data: Data) -> [UInt8]? {
    // Rows are filled up to four bytes.
    let stride = (width * bits + 31) / 32 * 4
    guard start + stride * height <= data.count,
      bits > 8 || palette.start + 4 * palette.colors <= data.count
    else { return nil }
    var pixels = [UInt8](repeating: 0, count: width * height * 3)
    let isWhole = data.withUnsafeBytes { bytes in
      for y in 0..<height {
        let row = start + stride * (isTopDown ? y : height - 1 - y)
        for x in 0..<width {
          var source = row + x * bits / 8
          if bits == 8 {
            guard Int(bytes[source]) < palette.colors else { return false }
            source = palette.start + 4 * Int(bytes[source])
          }
          // Blue comes first.
          for channel in 0..<3 {
            pixels[(y * width + x) * 3 + channel] = bytes[source + 2 - channel]
          }
        }
      }
      return true
    }
    return isWhole ? pixels : nil
  }
}
