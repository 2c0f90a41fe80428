import Foundation
/// What is wrong with a file that is read or written.
package enum FileError: NapError, Equatable {
  case unwritable(path: String, reason: String)
  case unreadable(path: String, reason: String)
  case malformed(path: String, format: String, reason: String)

  package var problem: String {
    switch self {
    case .unwritable(let path, let reason): "cannot write '\(path)': \(reason)"
    case .unreadable(let path, let reason): "cannot read '\(path)': \(reason)"
    case .malformed(let path, let format, let reason):
      "'\(path)' is not a valid \(format) file: \(reason)"
    }
  }
}
