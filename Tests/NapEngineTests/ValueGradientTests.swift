import NapEngine
import NapGraph
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Gradients of inputs and of values on the way, and networks up to some of their values.
@Suite struct ValueGradientTests {
  static let networks = SmallNetwork.all + SmallNetwork.reshaping

  private func bench(_ name: String) throws -> (graph: Graph, x: Tensor) {
    var network = try #require(Self.networks.first { $0.name == name }).network
    return (network.graph, network.tensor(try network.graph.inputShapes(batch: 3)[0]))
  }

  private func direction(_ outputs: [Tensor]) -> [Tensor] {
    outputs.map { output in
      Tensor(shape: output.shape, floats: output.floats.indices.map { 1 - 0.3 * Float($0 % 5) })
    }
  }

  private func run(_ plan: Plan, _ x: Tensor) {
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    for (n, shape) in plan.outputShapes.enumerated() {
      for i in 0..<shape.product { plan.outputGradients[n][i] = 1 - 0.3 * Float(i % 5) }
    }
    plan.backward()
  }

  @Test(arguments: networks.map(\.name))
  func inputGradientsAgreeWithFiniteDifferences(_ name: String) throws {
    let (graph, x) = try bench(name)
    let input = graph.inputs[0].value
    let plan = try Plan(graph, mode: .gradients, batch: 3, gradientsOf: [input])
    // Twice: a run leaves nothing behind that changes the next.
    for _ in 0..<2 { run(plan, x) }
    let found = try #require(plan.valueGradients[input])
    func projection(_ x: Tensor) -> Double {
      let outputs = graph.evaluate([x])
      return zip(outputs, direction(outputs)).reduce(0) { sum, pair in
        zip(pair.0.floats, pair.1.floats).reduce(sum) { $0 + Double($1.0) * Double($1.1) }
      }
    }
    let width: Float = 2e-3
    let differences = x.floats.indices.map { i in
      var (above, below) = (x, x)
      above.floats[i] += width
      below.floats[i] -= width
      return Float((projection(above) - projection(below)) / Double(2 * width))
    }
    let scale = differences.reduce(0) { max($0, abs($1)) }
    let wrong = differences.indices.count { abs(found[$0] - differences[$0]) > 0.01 * scale }
    // Kinks of rectifiers are between some of the points.
    #expect(wrong <= x.count / 20)
  }

  @Test(arguments: networks.map(\.name))
  func gradientsOnTheWayAreThoseOfTheSpecification(_ name: String) throws {
    let (graph, x) = try bench(name)
    let wanted = graph.inputs.map(\.value) + graph.nodes.flatMap(\.outputs)
    let plan = try Plan(graph, mode: .gradients, batch: 3, gradientsOf: wanted)
    run(plan, x)
    #expect(plan.parameterGradients.isEmpty)
    let (values, gradients) = graph.gradients([x], direction)
    for value in wanted {
      let found = try #require(plan.valueGradients[value])
      let shape = try #require(values[value.index]).shape
      let expected =
        gradients[value.index]?.floats ?? [Float](repeating: 0, count: shape.product)
      let numbers = Array(UnsafeBufferPointer(start: found, count: shape.product))
      #expect(relativeDifference(numbers, expected) < 1e-4, "\(graph.name(of: value))")
    }
  }

  @Test func valuesThatAreNotComputedHaveNoGradients() throws {
    let graph = SmallNetwork.residual.graph
    let weight = try #require(graph.constants.keys.first)
    #expect(throws: PlanError.self) {
      _ = try Plan(graph, mode: .gradients, batch: 1, gradientsOf: [weight])
    }
  }

  @Test(arguments: networks.map(\.name))
  func truncatedNetworksGiveTheValuesOfTheWhole(_ name: String) throws {
    let (graph, x) = try bench(name)
    let (values, _) = graph.gradients([x], direction)
    let inner = graph.nodes.flatMap(\.outputs)
    for value in inner {
      let truncated = try graph.truncated(to: [value])
      #expect(truncated.nodes.count <= graph.nodes.count)
      let needed = Set(truncated.nodes.flatMap(\.inputs))
      #expect(truncated.constants.keys.allSatisfy(needed.contains))
      let expected = try #require(values[value.index])
      let plan = try Plan(truncated, batch: 3)
      plan.inputs[0].update(from: x.floats, count: x.count)
      plan.forward()
      #expect(plan.outputShapes == [expected.shape])
      let numbers = Array(UnsafeBufferPointer(start: plan.outputs[0], count: expected.count))
      #expect(relativeDifference(numbers, expected.floats) < 1e-5, "\(graph.name(of: value))")
    }
    // All at once, in any order.
    let plan = try Plan(try graph.truncated(to: inner.reversed()), batch: 3)
    #expect(plan.outputShapes == inner.reversed().compactMap { values[$0.index]?.shape })
    #expect(throws: GraphError.self) {
      _ = try graph.truncated(to: [ValueID(graph.valueNames.count)])
    }
  }
}
