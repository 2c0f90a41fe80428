import NapTensor

/// What is wrong with a data set.
package enum DataError: RecoverableError, Equatable {
  case missing(path: String)
  case unrecognized(path: String)
  case noSplit(path: String, split: String)
  case truncated(path: String, bytes: Int, expected: Int)
  case labelOutOfRange(path: String, label: Int, classes: Int)
  case notFinite(path: String, example: Int, place: [Int])
  case undecodable(path: String, reason: String)
  case unreadable(path: String, reason: String)

  package var problem: String {
    switch self {
    case .missing(let path): "the data '\(path)' do not exist"
    case .unrecognized(let path): "'\(path)' holds no data set that nap recognizes"
    case .noSplit(let path, let split): "the data in '\(path)' has no \(split) split"
    case .truncated(let path, let bytes, let expected):
      "the file '\(path)' has \(bytes) bytes, but \(expected) were expected"
    case .labelOutOfRange(let path, let label, let classes):
      "the file '\(path)' holds label \(label), but there are \(classes) classes"
    case .notFinite(let path, let example, let place):
      "example \(example) of '\(path)', counted from 0, is NaN or infinite at \(place)"
    case .undecodable(let path, let reason): "the image '\(path)' cannot be decoded: \(reason)"
    case .unreadable(let path, let reason): "the file '\(path)' cannot be read: \(reason)"
    }
  }

  package var recovery: String? {
    switch self {
    case .missing: "give the folder with --data, or set NAP_DATA"
    case .unrecognized:
      "nap reads \(Datasets.formats.map { $0.name }.joined(separator: ", "))"
    case .noSplit: "choose the other --split"
    case .truncated: "download the file again; it is incomplete or of another format"
    case .notFinite: "repair the example, or leave it out"
    case .labelOutOfRange, .undecodable, .unreadable: nil
    }
  }
}
