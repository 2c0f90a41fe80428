import Foundation
import NapKit
import NapTensor
import NapTestSupport
import Testing

/// What decides how wide layers are, by the command, on a network that has learned something.
@Suite(.serialized) struct AllocatorCommandTests {
  private static let data = ["--data", "data", "--preset", "mnist", "--quiet", "--json"]

  private func inside(_ folder: URL) -> String { "cd '\(folder.path)'; exec \"$@\"" }

  private func number(_ key: String, _ output: String) throws -> Double {
    let object = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
    return try #require(object?[key] as? NSNumber).doubleValue
  }

  /// Every way keeps the budget and says what it has decided; the file is the network that was measured.
  @Test func everyAllocatorKeepsTheBudget() throws {
    try withFolder { folder in
      try KillTests.prepare(folder)
      let original = try Network(contentsOf: folder.appending(path: "model.onnx").path)
      // Where there are variants, a name alone is the first of them.
      let names = Pruning.allocators.map(\.name)
      for name in names where !names.contains(where: { $0.hasPrefix("\(name):") }) {
        let file = "\(name.replacing(":", with: "-")).onnx"
        let result = try Program.run(
          ["prune", "model.onnx", "-o", file, "--macs", "0.6", "--epochs", "0", "--round", "1"]
            + ["--allocator", name, "--candidates", "8"] + Self.data, shell: inside(folder))
        try #require(result.status == 0, "\(name): \(result.errors)")
        let smaller = try Network(contentsOf: folder.appending(path: file).path)
        #expect(Double(smaller.macs) <= 0.6 * Double(original.macs), "\(name)")
        #expect(try number("macs_after", result.output) == Double(smaller.macs), "\(name)")
        guard name != Pruning.ranking else { continue }
        #expect(result.output.contains("\"allocation\""), "\(name)")
        let page = folder.appending(path: file.replacing(".onnx", with: ".run/report.html"))
        #expect(
          try String(contentsOf: page, encoding: .utf8).contains("How wide layers are: \(name)"))
      }
    }
  }

  @Test func proxiesAreCompared() throws {
    try withFolder { folder in
      try KillTests.prepare(folder)
      let result = try Program.run(
        ["proxies", "model.onnx", "--structures", "3", "--epochs", "1", "--run", "out.run"]
          + Self.data, shell: inside(folder))
      try #require(result.status == 0, "\(result.errors)")
      struct Found: Decodable {
        struct Proxy: Decodable {
          var name: String
          var scores: [Double]
        }
        var proxies: [Proxy]
      }
      let proxies = try JSONDecoder().decode(Found.self, from: Data(result.output.utf8)).proxies
      #expect(
        proxies.map(\.name) == [
          "predicted loss", "compensated weights", "shared weights", "pruning-net weights",
        ])
      // Every provider has its own opinion.
      #expect(Set(proxies.map(\.scores)).count == proxies.count)
    }
  }

  @Test(
    arguments: [
      (["--allocator", "unifrom"], "uniform"),
      (["--allocator", "itpruner:linaer"], "itpruner:linear"),
      (["--allocator", "uniform", "--granularity", "2:4"], "channels"),
      (["--candidates", "0"], "--candidates"),
    ]) func wrongUsageIsAnswered(_ arguments: [String], _ word: String) throws
  {
    try withFolder { folder in
      let result = try Program.run(
        ["prune", try model(folder), "-o", "x.onnx"] + arguments, shell: inside(folder))
      #expect(result.status == 2, "\(result)")
      #expect(result.errors.contains(word), "\(result.errors)")
    }
  }
}

/// Kendall's tau against what it is by hand.
@Test(
  arguments: [
    ([1, 2, 3], [1, 2, 3], 1), ([1, 2, 3], [3, 2, 1], -1), ([1, 2, 3], [1, 3, 2], 1.0 / 3),
    ([1, 1, 2], [1, 2, 3], 2 / 6.0.squareRoot()), ([1, 1], [1, 2], 0),
  ] as [([Double], [Double], Double)])
func taus(_ a: [Double], _ b: [Double], _ tau: Double) {
  #expect(abs(kendallTau(a, b) - tau) < 1e-12)
}
