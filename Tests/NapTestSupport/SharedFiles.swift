package import Foundation

/// Real networks and data that some tests run on where they are found.
package enum SharedFiles {
  /// The folder above the package, then `shared`.
  private static let shared = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "shared")

  private static func existing(_ variable: String, _ folder: String) -> String? {
    let path = ProcessInfo.processInfo.environment[variable] ?? shared.appending(path: folder).path
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }

  /// The folder of `NAP_DATA`, or `../shared/data`.
  package static let data = existing("NAP_DATA", "data")
  /// The folder of `NAP_MODELS`, or `../shared/models`.
  package static let models = existing("NAP_MODELS", "models")
  /// The interpreter of `NAP_PYTHON`, which has onnx, onnxruntime and numpy.
  package static let python = ProcessInfo.processInfo.environment["NAP_PYTHON"]

  /// Runs a script of `Tests/CrossChecks` by that interpreter; gives what it prints.
  package static func runCrossCheck(_ script: String, _ arguments: [String]) throws
    -> (status: Int32, output: String)
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python ?? "")
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent()
    process.arguments = [tests.appending(path: "CrossChecks/\(script)").path] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  /// A folder of its own for one test.
  package static func makeTemporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "nap-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  /// A folder with files of these texts, by their paths in it, for as long as `body` runs.
  package static func withFiles(_ files: [String: String], _ body: (_ root: String) throws -> Void)
    throws
  {
    let root = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: root) }
    for (name, text) in files {
      let file = root.appending(path: name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    try body(root.path)
  }
}
