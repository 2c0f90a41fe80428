import NapGraph
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct GraphTests {
  @Test(arguments: SmallNetwork.all.map(\.name))
  func smallNetworksAreValid(_ name: String) throws {
    try SmallNetwork.all.first { $0.name == name }?.network.graph.verify()
  }

  @Test func usingAValueBeforeItIsComputedIsInvalid() {
    var graph = SmallNetwork.residual.graph
    graph.nodes.swapAt(0, 1)
    #expect(throws: GraphError.self) { try graph.verify() }
  }

  @Test func wrongInputShapesAreNamed() {
    let graph = SmallNetwork.residual.graph
    #expect(throws: GraphError.inputShape(name: "x", expected: "Nx2x4x4", given: [1, 3, 4, 4])) {
      try graph.shapes(inputs: [[1, 3, 4, 4]])
    }
    #expect(throws: GraphError.inputCount(expected: 1, given: 0)) { try graph.shapes(inputs: []) }
  }

  @Test func dynamicBatchesTakeAnySize() throws {
    let graph = SmallNetwork.residual.graph
    for batch in [1, 2, 7] {
      #expect(try graph.shapes(batch: batch)[graph.outputs[0].value.index] == [batch, 3])
    }
  }

  @Test func multiplyAccumulatesAreCounted() throws {
    let graph = SmallNetwork.depthwise.graph
    let macs = graph.macsByNode(shapes: try graph.shapes(batch: 1))
    // conv a: 16 · 4 · 2; depthwise b: 16 · 4 · 9; conv c: 16 · 3 · 4; linear: 3 · 3.
    #expect(macs.filter { $0 > 0 } == [128, 576, 192, 9])
  }
}
