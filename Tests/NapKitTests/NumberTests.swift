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
      try graph.checkValues(on: data, preset, examples: 0..<64)
    }
    #expect(error?.problem.contains("node 'b' (Conv)") ?? false)
    try network.graph.checkValues(on: data, preset, examples: 0..<64)
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
