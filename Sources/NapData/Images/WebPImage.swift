internal import CNapWebP
import Foundation

extension ImageKind {
  static let webp = ImageKind(
    name: "WebP", endings: ["webp"],
    recognizes: { $0.has(Array("RIFF".utf8)) && $0.has(Array("WEBP".utf8), at: 8) },
    size: { data in
      let size = data.withUnsafeBytes { raw -> (Int, Int)? in
        var (width, height) = (Int32(0), Int32(0))
        let isWebP = WebPGetInfo(
          raw.bindMemory(to: UInt8.self).baseAddress, raw.count, &width, &height)
        return isWebP == 0 ? nil : (Int(width), Int(height))
      }
      return size
    },
    decode: { data, width, height in
      // The decoder is content with a file whose last bytes are missing.
      guard let size = data.number(at: 4, bytes: 4, bigEndian: false), size + 8 <= data.count
      else { return nil }
      var pixels = [UInt8](repeating: 0, count: width * height * 3)
      let isWhole = data.withUnsafeBytes { raw in
        WebPDecodeRGBInto(
          raw.bindMemory(to: UInt8.self).baseAddress, raw.count, &pixels, width * height * 3,
          Int32(width * 3)) != nil
      }
      return isWhole ? pixels : nil
    })

  /// The version of the library, such as 1.2.4.
  static var webPVersion: String {
    let version = WebPGetDecoderVersion()
    return "\(version >> 16).\(version >> 8 & 255).\(version & 255)"
  }
}
