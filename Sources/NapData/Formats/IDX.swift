package import Foundation
import NapTensor

/// Images and labels in MNIST's IDX files, as they are or as gzip files.
package struct IDX: DatasetFormat, Dataset {
  package static let name = "MNIST-style IDX files"
  package static func preset(of folder: URL) -> String? { "mnist" }

  package let classNames: [String]
  package let imageShape: [Int]
  private let images: Data
  private let labels: [UInt8]
  package var count: Int { labels.count }

  private static func stem(_ split: Split) -> String { split == .train ? "train" : "t10k" }

  private static func find(_ folder: URL, _ split: Split, _ kind: String) -> URL? {
    ["-ubyte", ".ubyte", "-ubyte.gz", ".ubyte.gz"]
      .map { folder.appending(path: "\(stem(split))-\(kind)\($0)") }
      .first { FileManager.default.fileExists(atPath: $0.path) }
  }

  package static func recognizes(_ folder: URL) -> Bool {
    Split.allCases.contains { find(folder, $0, "images-idx3") != nil }
  }

  package static func open(_ folder: URL, split: Split, for request: DataRequest)
    throws(DataError) -> any Dataset
  {
    guard let images = find(folder, split, "images-idx3"),
      let labels = find(folder, split, "labels-idx1")
    else { throw .noSplit(path: folder.path, split: split.rawValue) }
    return try IDX(images: images, labels: labels)
  }

  init(images imagesFile: URL, labels labelsFile: URL) throws(DataError) {
    let (sizes, content) = try Self.read(imagesFile, axes: 3)
    let (counts, classes) = try Self.read(labelsFile, axes: 1)
    guard sizes[0] == counts[0] else {
      throw .undecodable(
        path: labelsFile.path, reason: "it labels \(counts[0]) images, but there are \(sizes[0])")
    }
    guard sizes[0] > 0, sizes[1] > 0, sizes[2] > 0 else {
      throw .undecodable(path: imagesFile.path, reason: "it holds no images")
    }
    images = content
    labels = [UInt8](classes)
    imageShape = [1, sizes[1], sizes[2]]
    classNames = (0...Int(labels.max() ?? 0)).map(String.init)
  }

  /// The sizes an IDX file of bytes announces, and the bytes.
  private static func read(_ file: URL, axes: Int) throws(DataError) -> (
    sizes: [Int], content: Data
  ) {
    let head = 4 + 4 * axes
    let bytes = [UInt8](try content(of: file, upTo: head).prefix(head))
    guard bytes.count == head else {
      throw .truncated(path: file.path, bytes: bytes.count, expected: head)
    }
    guard bytes[0] == 0, bytes[1] == 0, bytes[2] == 8, bytes[3] == UInt8(axes) else {
      throw .undecodable(
        path: file.path, reason: "it is not an IDX file of bytes with \(axes) axes")
    }
    let sizes = (0..<axes).map { axis in
      (0..<4).reduce(0) { $0 << 8 | Int(bytes[4 + 4 * axis + $1]) }
    }
    guard let count = sizes.elementCount else {
      throw .undecodable(path: file.path, reason: "sizes of \(sizes) are impossible")
    }
    let expected = head + count
    if file.pathExtension == "gz" {
      do {
        try Memory.check(expected, for: "'\(file.path)'")
      } catch {
        throw .unreadable(path: file.path, reason: error.problem)
      }
    }
    let data = try content(of: file, upTo: expected + 1)
    guard data.count == expected else {
      throw .truncated(path: file.path, bytes: data.count, expected: expected)
    }
    return (sizes, data.dropFirst(head))
  }

  /// What a file holds, as far as that many bytes where it is compressed: one that unpacks to more than it
  /// says stops there.
  private static func content(of file: URL, upTo limit: Int) throws(DataError) -> Data {
    let data: Data
    do {
      data = try Data(contentsOf: file, options: .mappedIfSafe)
    } catch {
      throw .unreadable(path: file.path, reason: error.localizedDescription)
    }
    guard file.pathExtension == "gz" else { return data }
    guard let content = Data(gzip: file.path, upTo: limit) else {
      throw .unreadable(path: file.path, reason: "the compressed data is damaged")
    }
    return content
  }

  package func label(at index: Int) -> Int { Int(labels[index]) }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    let size = imageShape.product
    images.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      memcpy(pixels, base + index * size, size)
    }
  }
}
