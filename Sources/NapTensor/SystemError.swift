import Foundation

/// What Foundation reports of files and processes: its own description is all that it knows, in a notation of its own.
package struct SystemError: NapError {
  package let problem: String

  /// `nil` for errors of anybody else's.
  package init?(_ error: any Error) {
    switch error {
    case let error as CocoaError:
      let cause = error.underlying as? POSIXError
      let reason = cause.map { systemError($0.code.rawValue) } ?? Self.words(error)
      problem = error.filePath.map { "cannot use '\($0)': \(reason)" } ?? reason
    case let error as POSIXError: problem = systemError(error.code.rawValue)
    default:
      // Every error can be cast to one where there is Objective-C.
      guard type(of: error) is NSError.Type else { return nil }
      problem = Self.words(error)
    }
  }

  /// In our style.
  private static func words(_ error: any Error) -> String {
    let words = error.localizedDescription
    let sentence = words.hasSuffix(".") ? words.dropLast() : words[...]
    return sentence.prefix(1).lowercased() + sentence.dropFirst()
  }
}

/// The system's words for an error, the last one where none is given, in our style.
func systemError(_ code: Int32 = errno) -> String {
  let words = String(cString: strerror(code))
  return words.prefix(1).lowercased() + words.dropFirst()
}
