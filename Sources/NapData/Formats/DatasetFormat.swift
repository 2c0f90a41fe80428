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
  /// What folders of images are brought to; `nil` for the size of the first.
  package var fit: ImageFit?
  /// What the outputs of the network stand for, by number; empty for the folders, sorted.
  package var classes: [String] = []
  /// The network's inputs, by name and type; empty where there is no network yet.
  package var inputs: [(name: String, isInteger: Bool)] = []
  /// The names of its outputs.
  package var outputs: [String] = []

  package init(fit: ImageFit? = nil, classes: [String] = []) {
    (self.fit, self.classes) = (fit, classes)
  }
}

/// A layout of files on disk that holds a data set.
package protocol DatasetFormat: Sendable {
  static var name: String { get }
  /// Whether a folder, or a file, is of this format.
  static func recognizes(_ folder: URL) -> Bool
  static func open(_ folder: URL, split: Split, for request: DataRequest) throws(DataError)
    -> any Dataset
  /// The name of the preset that networks for these data are trained with; `nil` where that may be any.
  static func preset(of folder: URL) -> String?
}

extension DatasetFormat {
  package static func preset(of folder: URL) -> String? { nil }
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
    guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
    guard let (format, folder) = find(path) else { throw .unrecognized(path: path) }
    return try format.open(folder, split: split, for: request)
  }

  /// The name of the preset that networks for these data are trained with; `nil` where that may be any.
  package static func preset(of path: String) -> String? {
    if path == syntheticName { return syntheticName }
    return find(path).flatMap { format, folder in format.preset(of: folder) }
  }

  /// The folder itself, or the first one inside it that some format recognizes.
  private static func find(_ path: String) -> (format: any DatasetFormat.Type, folder: URL)? {
    let folder = URL(fileURLWithPath: path)
    let inside = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for candidate in [folder] + inside.sorted().map({ folder.appending(path: $0) }) {
      for format in formats where format.recognizes(candidate) { return (format, candidate) }
    }
    return nil
  }
}
