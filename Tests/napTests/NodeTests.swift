import Foundation
import NapTestSupport
import Testing

/// The ONNX project's own tests of single operators.
@Suite(.enabled(if: SharedFiles.python != nil, "NAP_PYTHON is not set"))
struct NodeTests {
  @Test func operatorsComputeWhatTheProjectOfONNXSays() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: SharedFiles.python ?? "")
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent()
    process.arguments = [
      tests.appending(path: "CrossChecks/node_tests.py").path, CommandTests.program.path,
    ]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    // "357 of 408 node tests that apply pass": none may get lost.
    let passed = try #require(text.split(separator: " ").first.flatMap { Int($0) }, "\(text)")
    #expect(passed >= 357)
  }
}
