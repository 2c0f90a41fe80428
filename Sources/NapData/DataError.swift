import Foundation
package import NapTensor

/// What is wrong with a data set.
package enum DataError: NapError, Equatable {
  case missing(path: String)
  case unrecognized(path: String)
  case noSplit(path: String, split: String)
  /// An array of no split, as long as those of one.
  case noPart(path: String, array: String, split: String)
  case truncated(path: String, bytes: Int, expected: Int)
  case labelOutOfRange(path: String, label: Int, classes: Int)
  /// An array that has not as many rows as there are examples.
  case length(path: String, array: String, count: Int, first: String)
  /// Inputs of the network that no array is named like.
  case missingArrays(path: String, missing: [String], found: [String])
  /// A class that one split has and the classes to be told apart have not.
  case unknownClass(path: String, name: String, known: [String])
  case notFinite(path: String, example: Int, place: [Int])
  case undecodable(path: String, reason: String)
  case unreadable(path: String, reason: String)
  case file(FileError)

  package var problem: String {
    switch self {
    case .missing(let path): "the data '\(path)' do not exist"
    case .unrecognized(let path): "'\(path)' holds no data set that nap recognizes"
    case .noSplit(let path, let split): "the data in '\(path)' has no \(split) split"
    case .noPart(let path, let array, let split):
      "\(array) in '\(path)' is as long as the arrays of the \(split) split, and its name is of none"
    case .truncated(let path, let bytes, let expected):
      "the file '\(path)' has \(bytes) bytes, but \(expected) were expected"
    case .labelOutOfRange(let path, let label, let classes):
      "the file '\(path)' holds label \(label), but there are \(classes) classes"
    case .length(let path, let array, let count, let first):
      "\(array) in '\(path)' has not one row for each of the \(count) examples of \(first)"
    case .missingArrays(let path, let missing, let found):
      missing.isEmpty
        ? "'\(path)' holds no array that examples can be read from: it holds \(Self.list(found))"
        : "'\(path)' holds no array '\(missing.joined(separator: "', '"))', an input of the network: it holds \(Self.list(found))"
    case .unknownClass(let path, let name, let known):
      "'\(path)' has the class '\(name)', which is none of \(Self.list(known))"
    case .undecodable(let path, let reason): "the data '\(path)' cannot be used: \(reason)"
    case .notFinite(let path, let example, let place):
      "example \(example) of '\(path)', counted from 0, is NaN or infinite at \(place)"
    case .unreadable(let path, let reason): "the file '\(path)' cannot be read: \(reason)"
    case .file(let error): error.problem
    }
  }

  /// Many classes are not all named.
  private static func list(_ names: [String]) -> String {
    names.isEmpty
      ? "none"
      : names.count <= 20
        ? names.joined(separator: ", ")
        : names.prefix(10).joined(separator: ", ") + " and \(names.count - 10) more"
  }

  package var recovery: String? {
    switch self {
    case .missing: "give the folder with --data, or set NAP_DATA"
    case .unrecognized:
      "nap reads \(Datasets.formats.map { $0.name }.joined(separator: ", "))"
    case .noSplit: "choose the other --split"
    case .noPart(_, _, let split): "name it with _\(split), or leave it out"
    case .truncated: "download the file again; it is incomplete or of another format"
    case .notFinite: "repair the example, or leave it out"
    case .length: "give arrays of the same length, and leave all else out"
    case .missingArrays: "name the arrays as the network's inputs: numpy.savez(file, NAME=array, …)"
    case .unknownClass:
      "give all splits folders of the same names, or all names with --classes, one a line"
    case .labelOutOfRange, .undecodable, .unreadable, .file: nil
    }
  }
}
