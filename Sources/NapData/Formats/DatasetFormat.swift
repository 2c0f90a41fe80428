package import Foundation
import NapTensor

/// Which part of a data set.
package enum Split: String, Sendable, CaseIterable {
  case train
  case test

  /// What folders, files and arrays of this part may be called.
  package var names: [String] {
    self == .train ? ["train"] : ["test", "val", "valid", "validation"]
  }
}

/// What a network wants of a data set.
package struct DataRequest: Sendable {
  /// What images are brought to, for formats without a size of their own.
  package var imageSize: (height: Int, width: Int)?
  /// The network's inputs, by name and type; empty where there is no network yet.
  package var inputs: [(name: String, isInteger: Bool)] = []
  /// The names of its outputs.
  package var outputs: [String] = []

  package init(imageSize: (height: Int, width: Int)? = nil) { self.imageSize = imageSize }
}

/// A layout of files on disk that holds a data set.
package protocol DatasetFormat: Sendable {
  static var name: String { get }
  /// Whether a folder, or a file, is of this format.
  static func recognizes(_ folder: URL) -> Bool
  static func open(_ folder: URL, split: Split, for request: DataRequest) throws(DataError)
    -> any Dataset
}

/// Finds out what a folder or file holds and opens it.
package enum Datasets {
  /// The formats that are tried, in order.
  package static let formats: [any DatasetFormat.Type] = [
    CIFAR10.self,
    IDX.self,
    ImageFolder.self,
    Arrays.self,
  ]

  /// What to give instead of a folder for the generated data set.
  package static let syntheticName = "synthetic"

  package static func open(
    _ path: String, split: Split, for request: DataRequest = DataRequest()
  ) throws(DataError) -> any Dataset {
    if path == syntheticName {
      return SyntheticDataset(count: split == .train ? 20_000 : 4000, split: split)
    }
    let folder = URL(fileURLWithPath: path)
    guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
    // The folder itself, or the only kind of folder inside it that some format recognizes.
    let inside = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let candidates = [folder] + inside.sorted().map { folder.appending(path: $0) }
    for candidate in candidates {
      for format in formats where format.recognizes(candidate) {
        return try format.open(candidate, split: split, for: request)
      }
    }
    throw .unrecognized(path: path)
  }
}
