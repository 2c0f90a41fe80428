import NapKit
import NapTensor

/// Where a command writes.
struct Places {
  /// Of every file the option that says where, and what it says; `nil` where none is written.
  var files: [(option: String, path: String?)]
  /// The run directory, by an option or beside the output; `nil` where there is none.
  var run: String?

  private static let directory = "the run directory (--run)"

  /// To be called before the work: what is written last would take the place of what is there by then, or find
  /// no place.
  ///
  /// - Throws: `UsageError` where two of them are one.
  func check() throws {
    var seen: [(option: String, path: String)] = []
    for (option, path) in files {
      guard let path else { continue }
      for other in seen where Destination.areOne(other.path, path) {
        throw Self.clash(other.option, option, path)
      }
      seen.append((option, path))
      if let run { try Self.compare(option, path, run) }
    }
  }

  private static func compare(_ option: String, _ path: String, _ run: String) throws {
    if Destination.areOne(path, run) { throw clash(option, Self.directory, path) }
    let file = FilePath(FilePath(path).resolved ?? path)
    // The same page would be there anyway.
    if option == "--report", file.name == RunDirectory.pageName { return }
    if RunDirectory.writes(file.name), Destination.areOne(file.openableFolder, run) {
      throw UsageError(
        "\(option) names '\(path)', which \(Self.directory) has for itself",
        recovery: "give another name")
    }
  }

  private static func clash(_ option: String, _ other: String, _ path: String) -> UsageError {
    UsageError(
      "\(option) and \(other) are the same place, '\(path)'", recovery: "give another name")
  }
}
