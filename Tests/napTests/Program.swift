import Foundation
import NapKit
import NapTestSupport
import Testing

/// The program as a user runs it.
enum Program {
  struct Result {
    var status: Int32
    var output: String
    var errors: String
  }

  /// It lies beside the tests.
  static let file: URL = {
    let build = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let own = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let beside = own.appending(path: "nap")
    return FileManager.default.isExecutableFile(atPath: beside.path)
      ? beside : build.appending(path: "../../.build/release/nap").standardizedFileURL
  }()

  /// Whether it runs with little memory: built with a sanitizer, it asks for terabytes of addresses.
  static let canBeLimited =
    (try? run(["--version"], shell: "ulimit -v 4000000; exec \"$@\""))?.status == 0

  /// Runs it to its end; a trap is recorded.
  ///
  /// - Parameter shell: lines for `sh` that run the program as `"$@"`.
  static func run(_ arguments: [String], shell: String = "exec \"$@\"") throws -> Result {
    let (process, output, errors) = start(arguments, shell: shell)
    try process.run()
    return finish(process, output, errors)
  }

  /// A process that is about to be run.
  static func start(_ arguments: [String], shell: String = "exec \"$@\"") -> (
    Process, output: Pipe, errors: Pipe
  ) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", shell, "sh", file.path] + arguments
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "NAP_DATA" }
    return (process, output, errors)
  }

  /// Waits for the end.
  static func finish(_ process: Process, _ output: Pipe, _ errors: Pipe) -> Result {
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(
      process.terminationReason == .exit && process.terminationStatus < 128
        || process.terminationStatus == 130, "\(process.arguments ?? []) trapped: \(words)")
    return Result(status: process.terminationStatus, output: text, errors: words)
  }
}

func withFolder(_ body: (URL) throws -> Void) throws {
  let folder = try SharedFiles.makeTemporaryFolder()
  defer { try? FileManager.default.removeItem(at: folder) }
  try body(folder)
}

/// Writes a network with fresh weights.
func model(_ folder: URL, _ architecture: String = "mlp") throws -> String {
  let path = folder.appending(path: "\(architecture).onnx").path
  try #require(Network(architecture: architecture, imageShape: [3, 32, 32], classes: 10)).write(
    to: path)
  return path
}
