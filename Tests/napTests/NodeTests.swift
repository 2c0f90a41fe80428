import Foundation
import NapTestSupport
import Testing

/// The ONNX project's own tests of single operators.
@Suite(.enabled(if: SharedFiles.python != nil, "NAP_PYTHON is not set"))
struct NodeTests {
  @Test func operatorsComputeWhatTheProjectOfONNXSays() throws {
    let (status, text) = try SharedFiles.runCrossCheck(
      "node_tests.py", [Program.file.path])
    #expect(status == 0, "\(text)")
    // "360 of 411 node tests that apply pass": none may get lost.
    let passed = try #require(text.split(separator: " ").first.flatMap { Int($0) }, "\(text)")
    #expect(passed >= 360)
  }
}
