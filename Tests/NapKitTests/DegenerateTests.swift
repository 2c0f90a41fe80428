import Foundation
import NapData
import NapGraph
import NapKit
import NapOperators
import NapReport
import NapTensor
import NapTestSupport
import Testing

/// Data that tell little or nothing, and networks with parts that do nothing: a finite network that is verified, or a
/// sentence that says what is missing.
@Suite(.serialized) struct DegenerateTests {
  /// A data set, as numbers and labels.
  private struct Examples {
    var count = 40
    var label: (Int) -> Int = { $0 % 3 }
    /// Of pixel `i` of an example, where noise lies between 0 and 1.
    var pixel: (_ example: Int, _ i: Int, _ noise: Float) -> Float = { $2 }

    func write(to path: String) throws {
      var random = Seed(4).generator()
      let size = DegenerateTests.shape.product
      let floats = (0..<count).flatMap { n in
        (0..<size).map { pixel(n, $0, random.uniform()) }
      }
      try NumPyFile.writeArchive(
        [
          ("x", Tensor(shape: [count] + DegenerateTests.shape, floats: floats)),
          ("y", Tensor(shape: [count], integers: (0..<count).map { Int64(label($0)) })),
        ], to: path)
    }
  }

  private static let shape = [1, 6, 6]

  private static func network(_ change: (inout SmallNetwork) -> Void = { _ in }) -> Network {
    var n = SmallNetwork()
    let x = n.input(shape)
    let a = n.apply(Relu(), n.conv(x, [8, 1, 3, 3], bias: true, "a"), name: "a.relu")
    let b = n.apply(
      Relu(), n.normalization(n.conv(a, [8, 8, 3, 3], "b"), 8, "b.bn"), name: "b.relu")
    let features = n.apply(
      Flatten(), n.apply(GlobalAveragePool(), b, name: "pool"), name: "flatten")
    n.output(n.linear(features, 8, 3, "classifier"), [3])
    change(&n)
    return Network(n.graph)
  }

  private static func set(_ number: Float, _ names: String...) -> (inout SmallNetwork) -> Void {
    { network in
      for name in names {
        let value = network.constant(name)
        network.graph.constants[value]?.floats.indices.forEach {
          network.graph.constants[value]?.floats[$0] = number
        }
      }
    }
  }

  /// A case: what is said of it, by command; what is not said has to work.
  private struct Case {
    var name: String
    var examples = Examples()
    var network = DegenerateTests.network()
    var refusals: [String: String] = [:]
  }

  private static func dead(_ network: inout SmallNetwork) {
    set(0, "a.w")(&network)
    set(-1, "a.b")(&network)
  }

  private static var cases: [Case] {
    [
      Case(
        name: "one example", examples: Examples(count: 1, label: { _ in 2 }),
        refusals: ["prune": "1 examples are too few", "train": "do not fill one batch"]),
      Case(
        name: "three examples", examples: Examples(count: 3),
        refusals: ["train": "do not fill one batch"]),
      Case(
        name: "one class", examples: Examples(label: { _ in 0 })),
      Case(name: "another class alone", examples: Examples(label: { _ in 2 })),
      Case(name: "black images", examples: Examples(pixel: { _, _, _ in 0 })),
      Case(
        name: "one image again and again", examples: Examples(pixel: { _, i, _ in Float(i) / 36 })),
      Case(name: "tiny numbers", examples: Examples(pixel: { $2 * 1e-30 })),
      Case(name: "a layer of zeros", network: network(dead)),
      Case(name: "weights of zero", network: network(set(0, "b.w"))),
      Case(name: "a normalization without scale", network: network(set(0, "b.bn.scale"))),
      Case(name: "a normalization without variance", network: network(set(0, "b.bn.variance"))),
      Case(name: "equal channels", network: network(set(0.1, "a.w", "a.b", "b.w"))),
    ]
  }

  @Test(arguments: cases.indices) func theAnswerIsDefined(_ index: Int) throws {
    let example = Self.cases[index]
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "data.npz").path
    try example.examples.write(to: path)
    let source = try DataSource(path: path, preset: "plain")
    func pruning(_ change: (inout Pruning) -> Void) throws -> Network {
      var pruning = Pruning(source: source)
      pruning.allowsChance = true
      (pruning.goal, pruning.epochs, pruning.rounds) = (.macs(0.6), 2, 2)
      change(&pruning)
      let (network, report) = try pruning.run(example.network)
      #expect(report.verified, "\(example.name)")
      #expect(report.accuracyAfter.isFinite && report.accuracyBefore.isFinite)
      return network
    }
    let commands: [(name: String, run: () throws -> Network?)] = [
      ("prune", { try pruning { _ in } }),
      (
        "prune",
        { try pruning { ($0.goal, $0.granularity) = (.sparsity(0.5), .weights) } }
      ),
      (
        "train",
        {
          var training = Training(source: source)
          (training.epochs, training.batchSize) = (2, 16)
          return try training.run(example.network).network
        }
      ),
      (
        "eval",
        {
          let report = try Evaluation(source: source, split: "train").run(example.network)
          #expect(report.accuracy.isFinite && report.loss.isFinite)
          return nil
        }
      ),
      (
        "sensitivity",
        {
          _ = try SensitivityAnalysis(source: source).run(example.network)
          return nil
        }
      ),
    ]
    for (command, run) in commands {
      let what = Comment(rawValue: "\(example.name), \(command)")
      do {
        let network = try run()
        #expect(example.refusals[command] == nil, what)
        try network?.graph.checkConstants()
      } catch let error as any NapError {
        let expected = example.refusals[command]
        #expect(
          expected.map(error.problem.contains) ?? false, "\(what.rawValue): \(error.problem)")
      }
    }
  }
}
