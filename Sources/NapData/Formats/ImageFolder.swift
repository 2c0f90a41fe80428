package import Foundation
import NapTensor

/// Folders of JPEG, PNG, BMP and WebP images, one folder a class: `DIR/train/CLASS/*` and `DIR/test/CLASS/*`
/// (or `val`, `valid`, `validation`), or `DIR/CLASS/*` for training images only; or images without labels,
/// `DIR/*`.
///
/// Images are decoded when they are needed.
package struct ImageFolder: DatasetFormat, Dataset {
  package static let name = "folders of images, by class or without labels"

  package let classNames: [String]
  package let imageShape: [Int]
  package let isOfAnySize = true
  /// What was not read, if anything, in a sentence.
  package let remark: String?
  private let fit: ImageFit
  private let files: [(path: String, label: Int)]
  package var count: Int { files.count }

  private static func names(_ folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }

  private static func folders(_ folder: URL) -> [String] {
    names(folder).filter { name in
      var isFolder: ObjCBool = false
      let path = folder.appending(path: name).path
      return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        && isFolder.boolValue
    }
  }

  private static func images(_ folder: URL) -> [String] {
    names(folder).filter { ImageKind.endings.contains(FilePath($0).ending) }
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
    return !classes(root).isEmpty || !images(root).isEmpty
  }

  package static func open(_ folder: URL, split: Split, for request: DataRequest)
    throws(DataError) -> any Dataset
  {
    guard let root = root(folder, split) else {
      throw .noSplit(path: folder.path, split: split.rawValue)
    }
    let own = classes(root)
    // What is learned in training counts: the other split may lack a class, and knows no other.
    let trained = Self.root(folder, .train).map(classes) ?? own
    let all = request.classes.isEmpty ? trained : request.classes
    if let unknown = own.first(where: { !all.contains($0) }), !all.isEmpty {
      throw .unknownClass(path: root.path, name: unknown, known: all)
    }
    return try ImageFolder(root, folders: own, classes: own.isEmpty ? [] : all, request.fit)
  }

  /// Names of the folders that hold images.
  private static func classes(_ root: URL) -> [String] {
    folders(root).filter { !images(root.appending(path: $0)).isEmpty }
  }

  private init(_ root: URL, folders: [String], classes: [String], _ fit: ImageFit?)
    throws(DataError)
  {
    classNames = classes
    let labels = Dictionary(classes.enumerated().map { ($1, $0) }) { first, _ in first }
    let labelled = folders.flatMap { name in
      let folder = root.appending(path: name)
      return Self.images(folder).map { (folder.appending(path: $0).path, labels[name] ?? 0) }
    }
    files =
      classes.isEmpty ? Self.images(root).map { (root.appending(path: $0).path, 0) } : labelled
    guard let first = files.first else { throw .unrecognized(path: root.path) }
    if let fit {
      self.fit = fit
    } else {
      let image = try DecodedImage(path: first.path)
      self.fit = ImageFit(height: image.height, width: image.width)
    }
    imageShape = [3, self.fit.height, self.fit.width]
    remark = Self.remark(root, reading: classes.isEmpty ? nil : folders)
  }

  /// What is left out of a folder.
  ///
  /// - Parameter classes: the folders that are read; `nil` where the images have no labels.
  private static func remark(_ root: URL, reading classes: [String]?) -> String? {
    let folders = folders(root)
    var others = names(root).filter { !folders.contains($0) }
    if classes == nil { others.removeAll { ImageKind.endings.contains(FilePath($0).ending) } }
    for name in classes ?? [] {
      let folder = root.appending(path: name)
      let images = Set(images(folder))
      others += names(folder).filter { !images.contains($0) }.map { "\(name)/\($0)" }
    }
    let unread = folders.filter { !(classes ?? []).contains($0) }
    func part(_ names: [String], _ one: String, _ many: String) -> String? {
      guard let first = names.first else { return nil }
      return names.count == 1
        ? "1 \(one) ('\(first)')" : "\(names.count) \(many) (such as '\(first)')"
    }
    let parts = [
      part(others, "other file", "other files"),
      part(unread, "folder without images", "folders without images"),
    ].compactMap { $0 }
    return parts.isEmpty
      ? nil : "left out in '\(root.path)': \(parts.joined(separator: " and "))"
  }

  package func label(at index: Int) -> Int { files[index].label }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    try DecodedImage(path: files[index].path).writePlanes(fit, into: pixels)
  }

  package func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) throws -> Bool {
    try DecodedImage(path: files[index].path)
      .writePlanes(crop, height: imageShape[1], width: imageShape[2], into: pixels)
    return true
  }
}
