import Foundation

/// The parts of a path, as the system takes them: nothing is looked up, and any text is one.
package struct FilePath: Sendable, Hashable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package var isAbsolute: Bool { text.hasPrefix("/") }

  /// What is before the last slash: empty where there is none, `/` for files of the root.
  package var folder: String {
    guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    let folder = String(text[..<slash])
    return folder.isEmpty ? "/" : folder
  }

  /// What is behind the last slash.
  package var name: String {
    text.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(text[text.utf8.index(after: $0)...]) }
      ?? text
  }

  /// What is behind the name's last dot, in lower case; nothing where the name begins with it.
  package var ending: String { split.ending }

  /// The name without its ending.
  package var stem: String { split.stem }

  private var split: (stem: String, ending: String) {
    let name = name
    guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return (name, "") }
    return (String(name[..<dot]), name[name.index(after: dot)...].lowercased())
  }

  /// Another file of the same folder.
  package func sibling(_ name: String) -> String { FilePath.joined(folder, name) }

  package static func joined(_ folder: String, _ name: String) -> String {
    folder.isEmpty ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
  }

  /// The folder, or `.` where there is none.
  package var openableFolder: String { folder.isEmpty ? "." : folder }
}

// MARK: As the system has it
extension FilePath {
  /// The path of what is there, without links; `nil` where there is nothing.
  package var resolved: String? {
    guard let pointer = realpath(text, nil) else { return nil }
    defer { free(pointer) }
    return String(cString: pointer)
  }

  /// Whether what is there lies in a folder, links followed.
  package func isInside(_ folder: String) -> Bool {
    guard let file = resolved, let folder = FilePath(folder).resolved else { return false }
    return file.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }

  /// The file of a folder that another file of it names; `nil` where the name, or a link that it follows,
  /// leaves the folder.
  package static func named(_ name: String, in folder: String) -> String? {
    let leaves = name.isEmpty || name.hasPrefix("/") || name.split(separator: "/").contains("..")
    guard !leaves, !name.contains("\\"), !name.contains("\0") else { return nil }
    let path = joined(folder, name)
    // What is missing is said by what reads it.
    guard FilePath(path).resolved == nil || FilePath(path).isInside(joined(folder, ".")) else {
      return nil
    }
    return path
  }
}
