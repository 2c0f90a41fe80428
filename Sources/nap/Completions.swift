import ArgumentParser
import Foundation
import NapKit

/// What shells offer for arguments.
extension CompletionKind {
  static let network = CompletionKind.file(extensions: ["onnx"])
  static let table = CompletionKind.file(extensions: ["csv"])
  static let folder = CompletionKind.directory
  static let presets = CompletionKind.list(DataSource.presets)
  static let criteria = CompletionKind.list(Pruning.criteria.map(\.name))

  /// Architectures, and files and folders that networks may be in.
  static let networkOrArchitecture = CompletionKind.custom { _, _, typed in
    let names = Network.architectures.map(\.name).filter { $0.hasPrefix(typed) }
    let slash = typed.lastIndex(of: "/")
    let folder = slash.map { String(typed[...$0]) } ?? ""
    let start = slash.map { typed[typed.index(after: $0)...] } ?? typed[...]
    let entries =
      (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
    return names
      + entries.sorted().filter {
        $0.hasPrefix(start) && (!$0.hasPrefix(".") || start.hasPrefix("."))
      }
      .compactMap { name in
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder + name, isDirectory: &isFolder),
          isFolder.boolValue || name.hasSuffix(".onnx")
        else { return nil }
        return folder + name + (isFolder.boolValue ? "/" : "")
      }
  }
}
