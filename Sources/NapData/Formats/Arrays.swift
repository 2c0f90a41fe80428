package import Foundation
import NapTensor

/// Arrays in NumPy files: one `.npy` file, an `.npz` archive, or a folder of either, named as the network's
/// inputs are. What else there is of the same length are targets.
///
/// Parts of the data are archives or folders `train` and `test` (or `val`), or names such as `train/x`,
/// `x_train` and `train_x` in one archive. Arrays of bytes `[N, C, H, W]` are images; all others are numbers
/// that the network takes as they are: sounds, measurements, tokens.
package struct Arrays: DatasetFormat {
  package static let name = "arrays in NumPy files"

  private static let endings: Set<String> = ["npy", "npz"]

  private static func files(_ folder: URL) -> [URL] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { endings.contains(FilePath($0).ending) }.sorted()
      .map { folder.appending(path: $0) }
  }

  /// The archive or folder of a split beside others.
  private static func place(_ folder: URL, _ split: Split) -> URL? {
    for name in split.names {
      let archive = folder.appending(path: "\(name).npz")
      if FileManager.default.fileExists(atPath: archive.path) { return archive }
      let inner = folder.appending(path: name)
      if !files(inner).isEmpty { return inner }
    }
    return nil
  }

  package static func recognizes(_ place: URL) -> Bool {
    endings.contains(place.pathExtension)
      ? FileManager.default.fileExists(atPath: place.path)
      : !files(place).isEmpty || Split.allCases.contains { self.place(place, $0) != nil }
  }

  package static func open(_ place: URL, split: Split, for request: DataRequest)
    throws(DataError) -> any Dataset
  {
    let hasParts = Split.allCases.contains { self.place(place, $0) != nil }
    if hasParts, self.place(place, split) == nil {
      throw .noSplit(path: place.path, split: split.rawValue)
    }
    let source = self.place(place, split) ?? place
    var arrays: [NamedArray]
    do throws(FileError) {
      arrays = try read(source)
    } catch {
      throw .file(error)
    }
    if !hasParts {
      let marks = arrays.map { NamedArray.split(of: $0.name) }
      if marks.contains(where: { $0.split != nil }) {
        let unmarked = zip(arrays, marks).filter { $1.split == nil }.map(\.0)
        arrays = zip(arrays, marks).compactMap {
          $1.split == split ? NamedArray(name: $1.name, array: $0.array) : nil
        }
        // Where there are targets, all else may be anything.
        if arrays.count <= max(1, request.inputs.count), let rows = arrays.first?.array.shape.first,
          let odd = unmarked.first(where: { $0.array.shape.first == rows })
        {
          throw .noPart(path: place.path, array: odd.description, split: split.rawValue)
        }
        if arrays.isEmpty { throw .noSplit(path: place.path, split: split.rawValue) }
      } else if split != .train {
        throw .noSplit(path: place.path, split: split.rawValue)
      }
    }
    return try ArrayDataset(arrays, of: source.path, for: request)
  }

  private static func read(_ place: URL) throws(FileError) -> [NamedArray] {
    switch place.pathExtension {
    case "npy": return [NamedArray(name: "", array: try NumPyFile.open(place.path))]
    case "npz": return try NumPyFile.openArchive(place.path).map { .init(name: $0, array: $1) }
    default: break
    }
    var result: [NamedArray] = []
    for file in files(place) {
      if file.pathExtension == "npz" { result += try read(file) }
      if file.pathExtension == "npy" {
        let name = file.deletingPathExtension().lastPathComponent
        result.append(NamedArray(name: name, array: try NumPyFile.open(file.path)))
      }
    }
    return result
  }
}

/// An array with the name that its file gives it.
struct NamedArray {
  var name: String
  var array: NumPyArray

  /// The part of the data that a name such as `train/x`, `x_train` or `train_x` says, and the rest of it.
  static func split(of name: String) -> (split: Split?, name: String) {
    for split in Split.allCases {
      for mark in split.names {
        for prefix in ["\(mark)/", "\(mark)_"] where name.hasPrefix(prefix) {
          return (split, String(name.dropFirst(prefix.count)))
        }
        if name.hasSuffix("_\(mark)") { return (split, String(name.dropLast(mark.count + 1))) }
      }
    }
    return (nil, name)
  }

  /// `'x' (float32 [100, 3])`.
  var description: String {
    let shape = array.shape.map(String.init).joined(separator: ", ")
    return "\(name.isEmpty ? "" : "'\(name)' ")(\(array.typeName) [\(shape)])"
  }
}
