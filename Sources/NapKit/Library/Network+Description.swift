public import Foundation
import NapGraph
import NapONNX
import NapOperators
import NapTensor

/// A layer with a weight.
public struct LayerDescription: Sendable, Hashable {
  /// The node's name.
  public var name: String
  /// The operator, as ONNX names it.
  public var type: String
  /// Of the weight.
  public var weightShape: [Int]
  /// The weight's name, as the file has it.
  public var weightName: String
  /// Multiply-accumulates of one example.
  public var macs: Int
}

extension Network {
  /// Names, shapes and types of what the network takes; sizes that are open are 0.
  public var inputs: [ArrayDescription] { graph.inputs.map { description(of: $0) } }

  /// Names and shapes of what it gives.
  public var outputs: [ArrayDescription] {
    let integers = graph.integerValues
    let shapes = try? graph.shapes(batch: graph.batchSize(1))
    return graph.outputs.map { port in
      ArrayDescription(
        name: graph.name(of: port.value),
        shape: Array((shapes?[port.value.index] ?? []).dropFirst()),
        numbers: integers.contains(port.value) ? .integers : .floats)
    }
  }

  private func description(of port: Graph.Port) -> ArrayDescription {
    ArrayDescription(
      name: graph.name(of: port.value),
      shape: port.dimensions.dropFirst().map { if case .fixed(let size) = $0 { size } else { 0 } },
      numbers: port.elementType == .float32 ? .floats : .integers)
  }

  /// All layers with weights, in the order in which they are computed.
  public var layers: [LayerDescription] {
    guard let shapes = try? graph.shapes(batch: graph.batchSize(1)) else { return [] }
    let macs = graph.macsByNode(shapes: shapes)
    return graph.nodes.enumerated().compactMap { index, node in
      guard node.op is any AffineOperator, let weight = graph.constants[node.inputs[1]] else {
        return nil
      }
      return LayerDescription(
        name: node.name, type: node.op.name, weightShape: weight.shape,
        weightName: graph.name(of: node.inputs[1]), macs: macs[index] / graph.batchSize(1))
    }
  }

  /// A parameter by its name in the file; `nil` where there is none.
  public func parameter(_ name: String) -> NumericArray? {
    graph.constants.first { graph.name(of: $0.key) == name && $0.value.isFloat }.map {
      NumericArray(shape: $0.value.shape, values: $0.value.floats)
    }
  }

  /// Reads a network from the bytes of an ONNX file without external data.
  ///
  /// - Throws: an error whose description says what is wrong with them.
  public init(data: Data) throws {
    graph = try ONNXReader(registry: .all).read(try ONNXFile(data: data), sizes: [:])
  }

  /// The bytes of an ONNX file.
  ///
  /// - Throws: `UsageError` where the network is too large for one file.
  public func data() throws -> Data {
    guard let bytes = bytes else {
      throw UsageError(
        "the network is too large for one ONNX file",
        recovery: "write it to a file, which keeps its weights beside it")
    }
    return bytes
  }
}
