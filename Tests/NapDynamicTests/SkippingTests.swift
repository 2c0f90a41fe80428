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
    // a, b, c, d and e; f has an activation that limits nothing, but its inputs are gated; and the shortcut.
    #expect(kernels.count { $0 == "skipping" } == 7)
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
    // What is read is what is written, as often as that is done.
    let again = folder.appending(path: "again.onnx").path
    try ONNXWriter().write(read, to: again)
    #expect(
      try ONNXReader(registry: .all).read(again).nodes.map(\.op.name) == read.nodes.map(\.op.name))
    #expect(read.nodes.count { $0.op is Cast } == (scaling ? 0 : 6))
  }

  /// What looks like a gate and is none is computed as it is written.
  @Test func whatIsNoGateIsNotTakenForOne() throws {
    func count(_ change: (inout Graph, ChannelGate) -> Void) throws -> Int {
      var graph = try SmallNetwork.blocks().deciding(scaling: true)
      let gate = graph.channelGates(try graph.shapes(batch: 1))[2]
      change(&graph, gate)
      let x = graph.input(3)
      let skipped = try outputs(graph, x, rewrites: true)
      #expect(relativeDifference(skipped, specified(graph, x)) < 1e-5)
      return graph.channelGates(try graph.shapes(batch: 1)).count
    }
    #expect(try count { _, _ in } == 6)
    // Saliencies that are never positive.
    let clipped = try count { graph, gate in
      for node in graph.nodes.indices
      where graph.nodes[node].outputs == graph.nodes[gate.threshold].inputs {
        graph.nodes[node].op = Clip(lower: 0, upper: -1)
      }
    }
    #expect(clipped == 5)
    // Whole numbers of them.
    let whole = try count { graph, gate in
      for node in graph.nodes.indices.reversed()
      where graph.nodes[node].op is Cast && graph.nodes[node].inputs == [gate.decision]
        || graph.nodes[node].inputs == graph.nodes[gate.threshold].outputs
          && graph.nodes[node].op is Cast
      {
        let middle = graph.addValue("whole")
        let source = graph.nodes[node].inputs
        graph.nodes[node].inputs = [middle]
        graph.nodes.insert(
          Node(name: "whole", op: Cast(to: .int64), inputs: source, outputs: [middle]), at: node)
      }
    }
    #expect(whole == 5)
  }

  /// One decision for two convolutions, as other programs may have it.
  @Test func productsMayShareADecision() throws {
    var graph = try SmallNetwork.blocks().deciding()
    let gates = graph.channelGates(try graph.shapes(batch: 1))
    let (first, second) = (gates[0], gates[1])
    for input in graph.nodes[second.product].inputs.indices
    where graph.nodes[second.product].inputs[input] != second.features {
      graph.nodes[second.product].inputs[input] =
        graph.nodes[first.product].inputs.first {
          $0 != first.features
        } ?? second.features
    }
    graph = graph.withoutDeadNodes()
    #expect(graph.channelGates(try graph.shapes(batch: 1)).count == 6)
    let x = graph.input(3)
    #expect(
      relativeDifference(try outputs(graph, x, rewrites: true), specified(graph, x)) < 1e-5)
  }
}
