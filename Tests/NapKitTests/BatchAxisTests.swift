import NapGraph
import NapKit
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Outputs that do not count examples along their first axis are refused by name wherever numbers are told
/// apart by example, and profiled and run everywhere else.
@Suite(.serialized) struct BatchAxisTests {
  private static let odd: [(name: String, add: @Sendable (inout Graph) -> ValueID)] = [
    ("constant", { $0.addConstant("odd", Tensor(shape: [2, 10], repeating: 1)) }),
    ("weight", { graph in graph.constants.keys.min() ?? graph.outputs[0].value }),
    (
      "transposed",
      { graph in
        graph.addNode("odd", Transpose(permutation: [1, 0]), [graph.outputs[0].value])[0]
      }
    ),
    (
      "sum",
      { graph in
        graph.addNode(
          "odd", ReduceSum(axes: [0], keepsAxes: true), [graph.outputs[0].value])[0]
      }
    ),
  ]

  /// With an output more and batches of any size; with that one alone and batches of one size.
  private static func networks() throws -> [(what: Comment, network: Network)] {
    let whole = try #require(Network(architecture: "mlp", imageShape: [3, 32, 32], classes: 10))
    return odd.flatMap { name, add in
      [false, true].map { alone in
        var graph = whole.graph
        let value = add(&graph)
        if alone { graph.inputs[0].dimensions[0] = .fixed(16) }
        let shape = (try? graph.shapes(batch: 16))?[value.index] ?? []
        let port = Graph.Port(value: value, dimensions: shape.map { .fixed($0) })
        graph.outputs = alone ? [port] : graph.outputs + [port]
        return (Comment(rawValue: "\(name), alone: \(alone)"), Network(graph))
      }
    }
  }

  @Test func outputsWithoutExamplesAreRefusedByName() throws {
    let source = try DataSource(path: "synthetic", preset: "synthetic")
    for (what, network) in try Self.networks() {
      _ = try network.profile()
      for mode in [Timing.Mode.inference, .training] {
        _ = try Timing(mode: mode, precision: .float32, batchSize: 16).run(network)
      }
      let name = network.graph.name(of: network.graph.outputs.last?.value ?? ValueID(0))
      func expectRefusal(_ work: () throws -> Void) {
        #expect(throws: GraphError.output(name: name), what) { try work() }
      }
      expectRefusal {
        _ = try Timing(mode: .curvature, precision: .float32, batchSize: 16).run(network)
      }
      expectRefusal { _ = try Evaluation(source: source).run(network) }
      expectRefusal { _ = try Pruning(source: source).run(network) }
      expectRefusal { _ = try SensitivityAnalysis(source: source).run(network) }
      expectRefusal { _ = try Training(source: source).run(network) }
      expectRefusal {
        var training = Training(source: source)
        training.teacher = network
        let student = try #require(
          Network(architecture: "mlp", imageShape: [3, 32, 32], classes: 10))
        _ = try training.run(student)
      }
    }
  }
}
