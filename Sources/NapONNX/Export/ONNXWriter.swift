package import Foundation
package import NapGraph
import NapTensor
import SwiftProtobuf

/// Writes networks to ONNX files.
///
/// Names, metadata and the declared inputs and outputs are those of the file the network was read
/// from; operators are written in opset `NodeDescription.exportOpset`, or the oldest newer one that
/// has them all.
package struct ONNXWriter: Sendable {
  /// Weights of more bytes than this go to a file of their own, `<model>.data`: a protobuf file
  /// cannot exceed 2 GiB.
  package var externalDataThreshold = 2_000_000_000
  /// Whether tensors of zeros mostly are written as lists of what is not zero.
  package var writesSparse = false

  /// What is left out where no example needs it.
  package var branches: [FileBranch] = []

  /// Of nap.
  package var producerVersion = ""

  package init() {}

  /// Writes a network; the file is complete or not there at all.
  package func write(_ graph: Graph, to path: String) throws(ONNXError) {
    do throws(FileError) {
      try writeFiles(graph, to: path)
    } catch {
      throw .file(error)
    }
  }

  /// The bytes of a file that holds the whole network; `nil` when they are too many for one.
  package func bytes(of graph: Graph) -> Data? {
    var (model, constants) = model(of: graph)
    guard Self.size(of: constants) <= externalDataThreshold else { return nil }
    model.graph.hold(constants)
    return try? model.serializedData()
  }

  private func writeFiles(_ graph: Graph, to path: String) throws(FileError) {
    var (model, constants) = model(of: graph)
    if Self.size(of: constants) <= externalDataThreshold {
      model.graph.hold(constants)
      try write(model, to: path)
    } else {
      // The data first: a model whose data is missing is worse than data nobody refers to.
      let data = try AtomicFile(path + ".data")
      model.graph.initializer = try externalize(constants, to: data)
      try data.commit()
      try write(model, to: path)
    }
  }

  /// The network without its dense constants, and those.
  private func model(of graph: Graph) -> (
    model: ONNXModelProto, constants: [(name: String, tensor: Tensor)]
  ) {
    var model = ONNXModelProto()
    let version = graph.nodes.reduce(NodeDescription.exportOpset) {
      max($0, $1.op.exported().opset)
    }
    model.irVersion = version < 19 ? 8 : version < 21 ? 9 : 10
    model.producerName = "nap"
    model.producerVersion = producerVersion
    if !graph.documentation.isEmpty { model.docString = graph.documentation }
    var opset = ONNXOperatorSetIdProto()
    opset.domain = ""
    opset.version = Int64(version)
    model.opsetImport = [opset]
    model.metadataProps = graph.metadata.map { (key, value) in
      var entry = ONNXStringStringEntryProto()
      entry.key = key
      entry.value = value
      return entry
    }
    var writing = GraphWriting(graph, opset: version)
    var (proto, constants) = writing.protos(branches)
    if writesSparse {
      let sparse = constants.compactMap { ONNXNodeProto(sparse: $0.tensor, name: $0.name) }
      proto.node = sparse + proto.node
      let names = Set(sparse.flatMap(\.output))
      constants.removeAll { names.contains($0.name) }
    }
    model.graph = proto
    return (model, constants)
  }

  private static func size(of constants: [(name: String, tensor: Tensor)]) -> Int {
    constants.reduce(0) { $0 + $1.tensor.count * $1.tensor.elementType.byteWidth }
  }

  private func write(_ model: ONNXModelProto, to path: String) throws(FileError) {
    let bytes: Data
    do {
      bytes = try model.serializedData()
    } catch {
      throw .unwritable(path: path, reason: "the network is too large for an ONNX file")
    }
    try AtomicFile.write(bytes, to: path)
  }

  private func externalize(
    _ constants: [(name: String, tensor: Tensor)], to file: borrowing AtomicFile
  ) throws(FileError) -> [ONNXTensorProto] {
    let location = FilePath(file.path).name
    var offset = 0
    var protos: [ONNXTensorProto] = []
    for (name, tensor) in constants {
      var proto = ONNXTensorProto(tensor, name: name)
      // Small tensors hold shapes and the like, which ONNX's own shape inference wants to see.
      if proto.rawData.count >= 1024 {
        let bytes = proto.rawData
        let entries = [
          ("location", location), ("offset", String(offset)), ("length", String(bytes.count)),
        ]
        proto.externalData = entries.map { (key, value) in
          var entry = ONNXStringStringEntryProto()
          entry.key = key
          entry.value = value
          return entry
        }
        proto.dataLocation = .external
        proto.clearRawData()
        let padding = (Self.alignment - bytes.count % Self.alignment) % Self.alignment
        try file.write(bytes)
        try file.write(Data(count: padding))
        offset += bytes.count + padding
      }
      protos.append(proto)
    }
    return protos
  }

  /// A multiple of the page size, so that runtimes can map tensors into memory.
  private static let alignment = 4096
}

extension ONNXGraphProto {
  /// Takes constants in, each where it is read.
  fileprivate mutating func hold(_ constants: [(name: String, tensor: Tensor)]) {
    initializer = constants.map { ONNXTensorProto($0.tensor, name: $0.name) }
    moveInitializersIntoBranches()
  }
}
