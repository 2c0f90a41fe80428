import Foundation
import NapData
import NapGraph
import NapKit
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Numbers that are none are found where they first appear, and said by name.
@Suite struct NumberTests {
  private let data = SyntheticDataset(count: 64, split: .test)

  private var network: SmallNetwork {
    var n = SmallNetwork()
    let x = n.apply(Relu(), n.conv(n.input([3, 32, 32]), [16, 3, 3, 3], "a"), name: "a.relu")
    let y = n.apply(Relu(), n.conv(x, [16, 16, 3, 3], "b"), name: "b.relu")
    let pooled = n.apply(GlobalMaxPool(), y, name: "pool")
    let features = n.apply(Flatten(), pooled, name: "flatten")
    n.output(n.linear(features, 16, 10, "classifier"), [10])
    return n
  }

  private func weight(of node: String, in graph: Graph) throws -> ValueID {
    try #require(graph.nodes.first { $0.name == node }).inputs[1]
  }

  @Test(arguments: [Float.nan, .infinity], ["a", "b", "classifier"])
  func weightsThatAreNotFiniteAreRefusedByName(_ number: Float, _ node: String) throws {
    var graph = network.graph
    let weight = try weight(of: node, in: graph)
    graph.constants[weight]?.floats[3] = number
    let source = try DataSource(path: "synthetic", preset: "synthetic")
    for work in [
      { _ = try Evaluation(source: source).run(Network(graph)) },
      { _ = try Training(source: source).run(Network(graph)) },
      { _ = try Pruning(source: source).run(Network(graph)) },
      {
        var training = Training(source: source)
        training.teacher = Network(graph)
        _ = try training.run(Network(network.graph))
      },
      {
        var pruning = Pruning(source: source)
        pruning.allowsChance = true
        pruning.teacher = Network(graph)
        _ = try pruning.run(Network(network.graph))
      },
    ] {
      let error = #expect(throws: UsageError.self) { try work() }
      #expect(error?.problem.contains("'\(graph.name(of: weight))'") ?? false)
    }
  }

  /// What overflows first is named, though a ReLU behind it makes numbers of NaN.
  @Test func whereNumbersOverflowIsNamed() throws {
    var graph = network.graph
    for node in ["a", "b"] {
      let weight = try weight(of: node, in: graph)
      graph.constants[weight]?.floats.indices.forEach {
        graph.constants[weight]?.floats[$0] *= 1e30
      }
    }
    let preset = try #require(Preset.named("synthetic"))
    let error = #expect(throws: UsageError.self) {
      try graph.checkValues(on: data, preset, examples: Array(0..<64))
    }
    #expect(error?.problem.contains("node 'b' (Conv)") ?? false)
    try network.graph.checkValues(on: data, preset, examples: Array(0..<64))
  }

  /// Masks are infinite on purpose.
  @Test func masksMayBeInfinite() throws {
    var n = SmallNetwork()
    let x = n.input([4])
    let mask = n.graph.addConstant(
      "mask", Tensor(shape: [4], floats: [0, -.infinity, 0, -.infinity]))
    n.output(n.apply(Softmax(), n.apply(Add(), x, mask, name: "masked"), name: "softmax"), [4])
    try n.graph.checkConstants()
    n.graph.constants[mask]?.floats[0] = .nan
    #expect(throws: UsageError.self) { try n.graph.checkConstants() }
  }
}

/// What is wrong with one example, late in the data, is found by all that read it, and said with its number.
@Suite(.serialized) struct LateExampleTests {
  private static let (count, late) = (3000, 2900)

  private static func write(_ number: Float, to path: String) throws {
    var random = Seed(3).generator()
    var x = Tensor(
      shape: [count, 1, 4, 4], floats: (0..<count * 16).map { _ in random.uniform() })
    x.floats[16 * late + 6] = number
    let labels = Tensor(shape: [count], integers: (0..<count).map { Int64($0 % 3) })
    try NumPyFile.writeArchive([("x", x), ("y", labels)], to: path)
  }

  /// Two convolutions, of which the second overflows where the first is large, behind a ReLU that would hide it.
  private static var network: Network {
    var n = SmallNetwork()
    let a = n.apply(Relu(), n.conv(n.input([1, 4, 4]), [4, 1, 3, 3], "a"), name: "a.relu")
    let b = n.apply(Relu(), n.conv(a, [4, 4, 3, 3], "b"), name: "b.relu")
    let features = n.apply(Flatten(), n.apply(GlobalMaxPool(), b, name: "pool"), name: "flatten")
    n.output(n.linear(features, 4, 3, "classifier"), [3])
    for name in ["a.w", "b.w"] {
      n.graph.constants[n.constant(name)]?.floats.indices.forEach {
        n.graph.constants[n.constant(name)]?.floats[$0] *= 100
      }
    }
    return Network(n.graph)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity, 1e36, -1e36])
  func itIsFoundByEveryCommand(_ number: Float) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "data.npz").path
    try Self.write(number, to: path)
    let source = try DataSource(path: path, preset: "plain")
    let commands: [(name: String, run: () throws -> Void)] = [
      ("eval", { _ = try Evaluation(source: source, split: "train").run(Self.network) }),
      (
        "eval with a teacher",
        {
          var evaluation = Evaluation(source: source, split: "train")
          evaluation.teacher = Self.network
          _ = try evaluation.run(Self.network)
        }
      ),
      ("train", { _ = try Training(source: source).run(Self.network) }),
      ("prune", { _ = try Pruning(source: source).run(Self.network) }),
      ("sensitivity", { _ = try SensitivityAnalysis(source: source).run(Self.network) }),
      (
        "compare",
        {
          _ = try Comparison(Pruning(source: source), criteria: ["l1"], macs: [0.5]).run(
            Self.network)
        }
      ),
    ]
    for (command, run) in commands {
      do {
        try run()
        Issue.record("\(command) takes \(number)")
      } catch let error as any NapError {
        #expect(error.problem.contains("example \(Self.late)"), "\(command): \(error.problem)")
        if !number.isFinite {
          #expect(
            error.problem.contains(path) && error.problem.contains("0, 1, 2"),
            "\(command): \(error.problem)")
        }
      }
    }
  }
}
