import Foundation
import NapDynamic
import NapEngine
import NapGraph
import NapKernels
import NapONNX
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct SkippingTests {
  private func outputs(_ graph: Graph, _ x: Tensor, rewrites: Bool) throws -> [Float] {
    let plan = try Plan(graph, batch: x.shape[0], rewrites: rewrites)
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    return zip(plan.outputs, plan.outputShapes).flatMap { pointer, shape in
      Array(UnsafeBufferPointer(start: pointer, count: shape.product))
    }
  }

  /// What the operators of a graph specify, one after another.
  private func specified(_ graph: Graph, _ x: Tensor) -> [Float] {
    var values = graph.constants
    values[graph.inputs[0].value] = x
    for node in graph.nodes {
      let results = node.op.forward(node.inputs.compactMap { values[$0] })
      for (output, result) in zip(node.outputs, results) { values[output] = result }
    }
    return graph.outputs.flatMap { values[$0.value]?.floats ?? [] }
  }

  /// What channels are multiplied by.
  private func decisions(_ graph: Graph, _ x: Tensor) throws -> [Float] {
    var shown = graph
    shown.outputs = graph.channelGates(try graph.shapes(batch: 1)).map {
      Graph.Port(value: $0.decision, dimensions: [])
    }
    return specified(shown, x)
  }

  @Test(arguments: [1, 8, 16], [1, 5]) func closedChannelsAreLeftOutAndNothingElseChanges(
    _ block: Int, _ batch: Int
  ) throws {
    let graph = try SmallNetwork.blocks().deciding(GateStyle(block: block), scaling: batch == 5)
    let x = graph.input(batch)
    let open = try decisions(graph, x)
    #expect(open.contains { $0 > 0 } && open.contains(0))
    #expect((batch == 5) == open.contains { $0 != 0 && $0 != 1 })
    let skipped = try outputs(graph, x, rewrites: true)
    #expect(relativeDifference(skipped, specified(graph, x)) < 1e-5)
    #expect(relativeDifference(skipped, try outputs(graph, x, rewrites: false)) < 1e-5)
  }

  @Test(arguments: [false, true]) func operatorsOfTheRewrittenNetworkAreWhatTheySpecify(
    _ scaling: Bool
  ) throws {
    let graph = try SmallNetwork.blocks().deciding(scaling: scaling)
    let rewritten = try #require(graph.skippingClosedChannels(try graph.shapes(batch: 3)))
    #expect(rewritten.nodes.contains { $0.op is SkippingConvolution })
    #expect(rewritten.nodes.contains { $0.op is GateDecision })
    let x = graph.input(3)
    #expect(relativeDifference(specified(rewritten, x), specified(graph, x)) < 1e-5)
  }

  @Test func salienciesAreStillThereWhenTheyAreAskedFor() throws {
    let graph = try SmallNetwork.blocks().deciding().showingSaliencies()
    let x = graph.input(2)
    #expect(
      relativeDifference(
        try outputs(graph, x, rewrites: true), try outputs(graph, x, rewrites: false)) < 1e-5)
  }

  @Test func allClosedIsComputable() throws {
    let graph = try SmallNetwork.blocks().deciding().settingGates(threshold: 1e9)
    let x = graph.input(2)
    #expect(
      relativeDifference(try outputs(graph, x, rewrites: true), specified(graph, x)) < 1e-5)
  }

  @Test(.enabled(if: canSkipChannels)) func convolutionsWithGatesAreSkipping() throws {
    let graph = try SmallNetwork.blocks().deciding()
    let plan = try Plan(graph, batch: 1)
    let kernels = plan.stepTimes(runs: 1).map(\.implementation)
    // a, b, c, d and e; f has an activation that limits nothing, but its inputs are gated.
    #expect(kernels.count { $0 == "skipping" } == 6)
    #expect(kernels.count { $0 == "gate" } >= 5)
  }

  @Test(arguments: [false, true]) func gatesAreFoundAgainInAFile(_ scaling: Bool) throws {
    let graph = try SmallNetwork.blocks().deciding(scaling: scaling)
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "gated.onnx").path
    try ONNXWriter().write(graph, to: path)
    let read = try ONNXReader(registry: .all).read(path)
    let gates = try [graph, read].map { $0.channelGates(try $0.shapes(batch: 1)) }
    #expect(gates[0].count == 6)
    #expect(gates[0].map(\.unitOfChannel) == gates[1].map(\.unitOfChannel))
    #expect(read.gateThreshold == graph.gateThreshold)
    let x = graph.input(3)
    #expect(
      relativeDifference(
        try outputs(graph, x, rewrites: true), try outputs(read, x, rewrites: true)) < 1e-6)
  }
}
