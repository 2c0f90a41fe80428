internal import CNapPNG
import Foundation

extension ImageKind {
  static let png = ImageKind(
    name: "PNG", endings: ["png"],
    recognizes: { $0.has([0x89, 0x50, 0x4e, 0x47]) },
    size: { data in
      // The first block, of a fixed layout.
      guard data.has(Array("IHDR".utf8), at: 12),
        let width = data.number(at: 16, bytes: 4, bigEndian: true),
        let height = data.number(at: 20, bytes: 4, bigEndian: true)
      else { return nil }
      return (width, height)
    },
    decode: { data, width, height in
      var pixels = [UInt8](repeating: 0, count: width * height * 3)
      let isWhole = data.withUnsafeBytes {
        nap_png_decode(
          $0.bindMemory(to: UInt8.self).baseAddress, $0.count, UInt32(width), UInt32(height),
          &pixels)
      }
      return isWhole == 1 ? pixels : nil
    })
}
