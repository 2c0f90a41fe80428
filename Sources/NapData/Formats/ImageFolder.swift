package import Foundation
import NapTensor

/// Folders of JPEG and PNG images, one folder a class: `DIR/train/CLASS/*` and `DIR/test/CLASS/*`
/// (or `val`), or `DIR/CLASS/*` for training images only; or images without labels, `DIR/*`.
///
/// Images are decoded when they are needed, their shorter side brought to size, the middle cut out.
package struct ImageFolder: DatasetFormat, Dataset {
  package static let name = "folders of images, by class or without labels"

  package let classNames: [String]
  package let imageShape: [Int]
  package let isOfAnySize = true
  private let files: [(path: String, label: Int)]
  package var count: Int { files.count }

  private static let endings: Set<String> = ["jpg", "jpeg", "png"]

  private static func folders(_ folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { name in
      var isFolder: ObjCBool = false
      let path = folder.appending(path: name).path
      return !name.hasPrefix(".")
        && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        && isFolder.boolValue
    }.sorted()
  }

  private static func images(_ folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { endings.contains(FilePath($0).ending) }.sorted()
  }

  /// The folder of a split; `nil` where there is none.
  private static func root(_ folder: URL, _ split: Split) -> URL? {
    let names = folders(folder)
    let wanted = split.names
    if let name = wanted.first(where: names.contains) { return folder.appending(path: name) }
    return split == .train && !names.contains(where: Split.test.names.contains) ? folder : nil
  }

  package static func recognizes(_ folder: URL) -> Bool {
    guard let root = root(folder, .train) ?? root(folder, .test) else { return false }
    return folders(root).contains { !images(root.appending(path: $0)).isEmpty }
      || !images(root).isEmpty
  }

  package static func open(_ folder: URL, split: Split, for request: DataRequest)
    throws(DataError) -> any Dataset
  {
    guard let root = root(folder, split) else {
      throw .noSplit(path: folder.path, split: split.rawValue)
    }
    let own = classes(root)
    // What is learned in training counts: the other split may lack a class, and knows no other.
    let all = Self.root(folder, .train).map(classes) ?? own
    if let unknown = own.first(where: { !all.contains($0) }), !all.isEmpty {
      throw .unknownClass(path: root.path, name: unknown, known: all)
    }
    return try ImageFolder(root, classes: own.isEmpty ? [] : all, imageSize: request.imageSize)
  }

  /// Names of the folders that hold images.
  private static func classes(_ root: URL) -> [String] {
    folders(root).filter { !images(root.appending(path: $0)).isEmpty }
  }

  private init(_ root: URL, classes: [String], imageSize: (height: Int, width: Int)?)
    throws(DataError)
  {
    classNames = classes
    let labelled = classes.enumerated().flatMap { label, name in
      let folder = root.appending(path: name)
      return Self.images(folder).map { (folder.appending(path: $0).path, label) }
    }
    files =
      classNames.isEmpty
      ? Self.images(root).map { (root.appending(path: $0).path, 0) } : labelled
    guard let first = files.first else { throw .unrecognized(path: root.path) }
    if let imageSize, imageSize.height > 0, imageSize.width > 0 {
      imageShape = [3, imageSize.height, imageSize.width]
    } else {
      let image = try DecodedImage(path: first.path)
      imageShape = [3, image.height, image.width]
    }
  }

  package func label(at index: Int) -> Int { files[index].label }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    let image = try DecodedImage(path: files[index].path)
    image.writePlanes(height: imageShape[1], width: imageShape[2], into: pixels)
  }
}
