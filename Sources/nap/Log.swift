import Foundation
import Logging

/// What the user is told beside the result, on standard error.
let log = Logger(label: "nap") { _ in PlainHandler() }

/// Writes messages as they are: the reader is a person at a terminal.
private struct PlainHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    // Where nobody listens any more, work goes on.
    try? FileHandle.standardError.write(contentsOf: Data("\(event.message)\n".utf8))
  }
}
