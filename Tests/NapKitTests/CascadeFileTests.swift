import Foundation
import NapDynamic
import NapGraph
@testable import NapKit
import NapONNX
import NapOperators
import NapOutputs
import NapTensor
import NapTestSupport
import SwiftProtobuf
import Testing

/// A network that some examples need is the branch of an `If` in the file.
@Suite struct CascadeFileTests {
  private func cascade() throws -> Network {
    var networks = try [SmallNetwork.residual, SmallNetwork.residual].map { small in
      var graph = small.graph
      graph.outputs = [try #require(graph.outputs.last)]
      return graph.withoutDeadNodes()
    }
    for (value, tensor) in networks[1].constants where tensor.isFloat {
      networks[1].constants[value] = Tensor(
        shape: tensor.shape, floats: tensor.floats.map { 0.9 * $0 })
    }
    let graph = try networks[0].askingWhereInDoubt(
      networks[1], distribution: .softmax, axis: 0, threshold: 0.5)
    return Network(graph)
  }

  private func model(_ network: Network) throws -> ONNXModelProto {
    try ONNXModelProto(serializedBytes: try #require(network.bytes))
  }

  private func read(_ model: ONNXModelProto) throws -> Graph {
    let file = try ONNXFile(data: try model.serializedData())
    return try ONNXReader(registry: .all).read(file, sizes: [:])
  }

  @Test func theBranchHoldsWhatOnlyItNeeds() throws {
    let network = try cascade()
    let model = try model(network)
    let choice = try #require(model.graph.node.first { $0.opType == "If" })
    let then = choice.attribute[0].g
    let convolutions = network.graph.nodes.count { $0.op is Conv }
    #expect(2 * then.node.count { $0.opType == "Conv" } == convolutions)
    #expect(2 * model.graph.node.count { $0.opType == "Conv" } == convolutions)
    #expect(then.initializer.count > 2 && model.graph.initializer.count > 2)
    // And back.
    let graph = try read(model)
    #expect(graph.gates(try graph.shapes(batch: 1)).count == 1)
    #expect(graph.nodes.count { $0.op is Conv } == convolutions)
    var random = SmallNetwork.residual
    let x = random.tensor([4, 2, 4, 4])
    #expect(graph.evaluate([x]) == network.graph.evaluate([x]))
    #expect(try self.model(Network(graph)).graph.node.map(\.name) == model.graph.node.map(\.name))
  }

  /// What is not as nap writes it may mean anything.
  @Test func otherBranchesAreRefused() throws {
    let model = try model(try cascade())
    let place = try #require(model.graph.node.firstIndex { $0.opType == "If" })
    let changes: [(String, (inout ONNXModelProto) -> Void)] = [
      ("no branch", { $0.graph.node[place].attribute.removeLast() }),
      ("another condition", { $0.graph.node[place].input = [$0.graph.input[0].name] }),
      ("no zeros", { $0.graph.node[place].attribute[1].g.initializer[0].rawData[0] = 1 }),
      ("another result", { $0.graph.node[place].attribute[1].g.node[0].opType = "Add" }),
      ("no product", { $0.graph.node[place].attribute[0].g.node.removeLast() }),
      ("an empty branch", { $0.graph.node[place].attribute[0].g = ONNXGraphProto() }),
      (
        "a sum of numbers",
        { model in
          for index in model.graph.node.indices where model.graph.node[index].opType == "Greater" {
            model.graph.node[index].opType = "Add"
          }
        }
      ),
    ]
    for (name, change) in changes {
      var changed = model
      change(&changed)
      #expect(throws: ONNXError.self, "\(name)") { try read(changed) }
    }
  }
}
