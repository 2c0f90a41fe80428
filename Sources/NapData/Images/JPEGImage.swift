internal import CNapJPEG
import Foundation

extension ImageKind {
  static let jpeg = ImageKind(
    name: "JPEG", endings: ["jpg", "jpeg", "jpe", "jfif"],
    recognizes: { $0.has([0xff, 0xd8]) },
    size: { data in JPEGImage.header(data).map { ($0.width, $0.height) } },
    decode: JPEGImage.decode, orientation: JPEGImage.orientation)
}

private enum JPEGImage {
  struct Header {
    var width: Int
    var height: Int
    /// Whether there are four inks.
    var isCMYK: Bool
  }

  private static func with<Result>(
    _ data: Data, _ body: (tjhandle, UnsafePointer<UInt8>, UInt) -> Result?
  ) -> Result? {
    guard let decoder = tjInitDecompress() else { return nil }
    defer { tjDestroy(decoder) }
    return data.withUnsafeBytes { raw in
      raw.bindMemory(to: UInt8.self).baseAddress.flatMap { body(decoder, $0, UInt(raw.count)) }
    }
  }

  static func header(_ data: Data) -> Header? {
    with(data) { decoder, bytes, count in
      var (width, height, sampling, space) = (Int32(0), Int32(0), Int32(0), Int32(0))
      guard
        tjDecompressHeader3(decoder, bytes, count, &width, &height, &sampling, &space) == 0
      else { return nil }
      let isCMYK = [TJCS_CMYK.rawValue, TJCS_YCCK.rawValue].contains { $0 == UInt32(space) }
      return Header(width: Int(width), height: Int(height), isCMYK: isCMYK)
    }
  }

  @Sendable static func decode(_ data: Data, _ width: Int, _ height: Int) -> [UInt8]? {
    guard let header = header(data) else { return nil }
    var pixels = [UInt8](repeating: 0, count: width * height * (header.isCMYK ? 4 : 3))
    let isWhole: Bool? = with(data) { decoder, bytes, count in
      let format = header.isCMYK ? TJPF_CMYK : TJPF_RGB
      let status = tjDecompress2(
        decoder, bytes, count, &pixels, Int32(width), 0, Int32(height), Int32(format.rawValue),
        Int32(TJFLAG_ACCURATEDCT))
      // Cameras write some bytes too many, which harms nothing as long as the end is there.
      return status == 0
        || tjGetErrorCode(decoder) == Int32(TJERR_WARNING.rawValue)
          && String(cString: tjGetErrorStr2(decoder)).contains("extraneous bytes")
          && data.suffix(64).range(of: Data([0xff, 0xd9])) != nil
    }
    guard isWhole == true else { return nil }
    return header.isCMYK ? rgb(ofInverted: pixels) : pixels
  }

  /// Adobe's programs, which alone write four inks, write them inverted: 255 is no ink.
  private static func rgb(ofInverted pixels: [UInt8]) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: pixels.count / 4 * 3)
    for pixel in 0..<pixels.count / 4 {
      let light = Int(pixels[4 * pixel + 3])
      for channel in 0..<3 {
        // A product of shares of 255, rounded as Pillow does.
        let product = (255 - Int(pixels[4 * pixel + channel])) * light + 128
        let ink = (product >> 8 + product) >> 8
        result[3 * pixel + channel] = UInt8(max(0, light - ink))
      }
    }
    return result
  }

  /// Of the first EXIF block.
  @Sendable static func orientation(_ data: Data) -> Int? {
    var offset = 2
    // Segments have a marker of two bytes and a length of two more; the image itself begins with FFDA.
    while data.has([0xff], at: offset),
      let marker = data.number(at: offset + 1, bytes: 1, bigEndian: true), marker != 0xda,
      let length = data.number(at: offset + 2, bytes: 2, bigEndian: true), length >= 2
    {
      if marker == 0xe1, data.has(Array("Exif\0\0".utf8), at: offset + 4) {
        return orientation(inTIFF: Data(data.dropFirst(offset + 10).prefix(max(0, length - 8))))
      }
      offset += 2 + length
    }
    return nil
  }

  private static func orientation(inTIFF block: Data) -> Int? {
    let isBig = block.has(Array("MM".utf8))
    guard isBig || block.has(Array("II".utf8)) else { return nil }
    func number(_ offset: Int, _ bytes: Int) -> Int? {
      block.number(at: offset, bytes: bytes, bigEndian: isBig)
    }
    guard let first = number(4, 4), let entries = number(first, 2) else { return nil }
    for entry in 0..<entries {
      let offset = first + 2 + 12 * entry
      guard let tag = number(offset, 2) else { return nil }
      if tag == 0x0112 { return number(offset + 8, 2).flatMap { (1...8).contains($0) ? $0 : nil } }
    }
    return nil
  }
}

extension DecodedImage {
  /// Brings an image that was taken with the camera turned upright.
  ///
  /// - Parameter orientation: as EXIF counts them: 1 is upright, 2...4 keep the sides, 5...8 swap them.
  mutating func turn(_ orientation: Int) {
    guard (2...8).contains(orientation) else { return }
    let swaps = orientation >= 5
    let (newWidth, newHeight) = swaps ? (height, width) : (width, height)
    var turned = [UInt8](repeating: 0, count: pixels.count)
    for y in 0..<newHeight {
      for x in 0..<newWidth {
        let (row, column) =
          switch orientation {
          case 2: (y, width - 1 - x)
          case 3: (height - 1 - y, width - 1 - x)
          case 4: (height - 1 - y, x)
          case 5: (x, y)
          case 6: (height - 1 - x, y)
          case 7: (height - 1 - x, width - 1 - y)
          default: (x, width - 1 - y)
          }
        for channel in 0..<3 {
          turned[(y * newWidth + x) * 3 + channel] = pixels[(row * width + column) * 3 + channel]
        }
      }
    }
    self = DecodedImage(width: newWidth, height: newHeight, pixels: turned)
  }
}
