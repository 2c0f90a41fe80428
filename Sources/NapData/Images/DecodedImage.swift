import Foundation
import NapTensor

/// An image in memory: rows of red, green and blue bytes.
///
/// All decoders give what networks were trained with, Pillow's `convert("RGB")`: grey is repeated, palettes are
/// looked up, alpha is dropped. Photographs are turned upright, which torchvision's `ImageFolder` leaves to its
/// users; people see them upright, and so do those who take pictures for a network.
struct DecodedImage: Equatable {
  var width: Int
  var height: Int
  /// `height` times `width` times 3.
  var pixels: [UInt8]

  /// Decodes a file of any kind in `ImageKind.all`.
  init(path: String) throws(DataError) {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadable(path: path, reason: "no permission, or not a file")
    }
    guard let kind = ImageKind.all.first(where: { $0.recognizes(data) }) else {
      let names = ImageKind.all.map(\.name).joined(separator: ", ")
      throw .undecodable(path: path, reason: "it is no image of a kind that nap reads (\(names))")
    }
    guard let size = kind.size(data), size.width > 0, size.height > 0 else {
      throw Self.broken(path, kind)
    }
    guard size.width <= Self.largestSide, size.height <= Self.largestSide else {
      throw .undecodable(
        path: path,
        reason: "\(size.width) x \(size.height) pixels are more than \(Self.largestSide) a side")
    }
    do {
      try Memory.check(size.width * size.height * 4, for: "the image '\(path)'")
    } catch {
      throw .unreadable(path: path, reason: error.problem)
    }
    guard let pixels = kind.decode(data, size.width, size.height) else {
      throw Self.broken(path, kind)
    }
    self.init(width: size.width, height: size.height, pixels: pixels)
    if let orientation = kind.orientation(data) { turn(orientation) }
  }

  init(width: Int, height: Int, pixels: [UInt8]) {
    (self.width, self.height, self.pixels) = (width, height, pixels)
  }

  private static let largestSide = 32_768

  private static func broken(_ path: String, _ kind: ImageKind) -> DataError {
    .undecodable(path: path, reason: "it is not a complete \(kind.name) image")
  }
}

/// A kind of image file.
struct ImageKind: Sendable {
  let name: String
  let endings: [String]
  /// By the first bytes; endings are often wrong.
  let recognizes: @Sendable (Data) -> Bool
  /// Told by the head, before anything is decoded.
  let size: @Sendable (Data) -> (width: Int, height: Int)?
  /// Rows of red, green and blue bytes; `nil` where the file is damaged or not complete.
  let decode: @Sendable (Data, _ width: Int, _ height: Int) -> [UInt8]?
  /// As EXIF counts them, 1...8; `nil` where the file does not say.
  var orientation: @Sendable (Data) -> Int? = { _ in nil }

  static let all: [ImageKind] = [.jpeg, .png, .bmp, .webp]

  /// Endings of all kinds, in lower case.
  static let endings = Set(all.flatMap(\.endings))
}

extension Data {
  /// Whether these bytes stand at an offset.
  func has(_ bytes: [UInt8], at offset: Int = 0) -> Bool {
    count >= offset + bytes.count
      && elementsEqualPrefix(bytes, from: startIndex + offset)
  }

  private func elementsEqualPrefix(_ bytes: [UInt8], from start: Int) -> Bool {
    self[start..<start + bytes.count].elementsEqual(bytes)
  }

  /// A number of so many bytes at an offset; `nil` beyond the end.
  func number(at offset: Int, bytes: Int, bigEndian: Bool) -> Int? {
    guard offset >= 0, offset + bytes <= count else { return nil }
    let range = self[startIndex + offset..<startIndex + offset + bytes]
    return (bigEndian ? Array(range) : range.reversed()).reduce(0) { $0 << 8 | Int($1) }
  }
}
