import Foundation
import NapGraph
import NapONNX
import NapOperators
import NapTensor
import NapTestSupport
import SwiftProtobuf
import Testing

/// A file as another exporter might have written it.
struct ModelFile {
  var proto: ONNXModelProto

  init(_ graph: Graph) throws {
    proto = try ONNXModelProto(serializedBytes: try #require(ONNXWriter().bytes(of: graph)))
  }

  /// The body of a network from `x` to `y` with two channels, written node by node.
  init(nodes: [ONNXNodeProto], constants: [String: Tensor] = [:]) throws {
    var network = SmallNetwork()
    let x = network.input([2, 4, 4])
    network.output(network.apply(Relu(), x, name: "y"), [2, 4, 4])
    try self.init(network.graph)
    proto.graph.node = nodes
    proto.graph.initializer = constants.sorted { $0.key < $1.key }.map {
      ONNXTensorProto($0.value, name: $0.key)
    }
  }

  /// Declares the sizes of a port anew: a number, a name, or nothing where the text is empty.
  static func declare(_ sizes: [String], _ port: inout ONNXValueInfoProto) {
    port.type.tensorType.shape.dim = sizes.map { text in
      var dimension = ONNXTensorShapeProto.Dimension()
      if let size = Int64(text) {
        dimension.dimValue = size
      } else if !text.isEmpty {
        dimension.dimParam = text
      }
      return dimension
    }
  }

  func withPath<R>(_ body: (String) throws -> R) throws -> R {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "model.onnx").path
    try proto.serializedData().write(to: URL(fileURLWithPath: path))
    return try body(path)
  }

  func read(_ inputShapes: [String: [Int]] = [:]) throws -> Graph {
    try withPath { try ONNXReader(registry: .all).read($0, inputShapes: inputShapes) }
  }
}

extension ONNXNodeProto {
  init(
    _ type: String, _ inputs: [String], _ outputs: [String],
    _ attributes: [String: NapGraph.Attribute] = [:]
  ) {
    self.init()
    opType = type
    name = outputs.first ?? ""
    input = inputs
    output = outputs
    attribute = attributes.sorted { $0.key < $1.key }
      .map { ONNXAttributeProto($0.value, name: $0.key) }
  }
}
