import Foundation
import NapGraph
import NapONNX
import NapTensor
import NapTestSupport
import Testing

/// ONNX wants nodes in an order in which they can be computed; runtimes take any.
@Suite struct SortingTests {
  private static let networks = SmallNetwork.all + SmallNetwork.reshaping

  @Test(arguments: networks.map(\.name))
  func nodesMayComeInAnyOrder(_ name: String) throws {
    var network = try #require(Self.networks.first { $0.name == name }).network
    let x = network.tensor([2] + (try network.graph.shapes(batch: 2)[0].dropFirst()))
    let expected = network.graph.evaluate([x])
    for trial in 0..<5 {
      var file = try ModelFile(network.graph)
      var generator = Seed(8).derived(trial).generator()
      // Constants too may come behind what reads them.
      for tensor in file.proto.graph.initializer {
        file.proto.graph.node.append(
          ONNXNodeProto("Constant", [], [tensor.name], ["value": .tensor(try read(tensor))]))
      }
      file.proto.graph.initializer = []
      file.proto.graph.node.shuffle(using: &generator)
      #expect(try file.read().evaluate([x]) == expected)
    }
  }

  private func read(_ proto: ONNXTensorProto) throws -> Tensor {
    let shape = proto.dims.map { Int($0) }
    return proto.rawData.withUnsafeBytes { bytes in
      proto.dataType == 1
        ? Tensor(
          shape: shape,
          floats: (0..<shape.product).map {
            bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
          })
        : Tensor(
          shape: shape,
          integers: (0..<shape.product).map {
            bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)
          })
    }
  }

  @Test(arguments: networks.map(\.name))
  func nodesInOrderStayInIt(_ name: String) throws {
    let graph = try #require(Self.networks.first { $0.name == name }).network.graph
    #expect(try ModelFile(graph).read().nodes.map(\.name) == graph.nodes.map(\.name))
  }

  /// Deeper than a stack of calls could be.
  @Test func networksMayBeDeep() throws {
    let depth = 20_000
    let nodes = (0..<depth).map { n in
      ONNXNodeProto("Relu", [n == 0 ? "x" : "v\(n)"], [n == depth - 1 ? "y" : "v\(n + 1)"])
    }
    let file = try ModelFile(nodes: nodes.reversed())
    #expect(try file.read().nodes.map(\.name) == nodes.map(\.name))
  }

  @Test(arguments: [
    (
      [
        ONNXNodeProto("Add", ["x", "c"], ["b"]), ONNXNodeProto("Relu", ["b"], ["c"]),
        ONNXNodeProto("Relu", ["c"], ["y"]),
      ], "node 'b' (Add) needs what is computed from its own output"
    ),
    (
      [ONNXNodeProto("Add", ["x", "y"], ["y"])],
      "node 'y' (Add) needs what is computed from its own output"
    ),
    (
      [ONNXNodeProto("Relu", ["x"], ["y"]), ONNXNodeProto("Abs", ["x"], ["y"])],
      "value 'y' is computed more than once"
    ),
    (
      [ONNXNodeProto("Relu", ["nothing"], ["y"])],
      "node 'y' (Relu) uses 'nothing', which nothing computes"
    ),
  ])
  func whatNoOrderHelpsIsNamed(_ nodes: [ONNXNodeProto], _ sentence: String) throws {
    let file = try ModelFile(nodes: nodes)
    #expect {
      try file.read()
    } throws: { error in
      (error as? ONNXError)?.problem.contains(sentence) ?? false
    }
  }
}
