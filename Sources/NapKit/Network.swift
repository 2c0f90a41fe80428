import Foundation
import NapData
package import NapGraph
package import NapONNX
import NapOperators
package import NapReport
import NapTensor

/// A network that was read from an ONNX file or is to be written to one.
public struct Network: Sendable {
  package var graph: Graph

  package init(_ graph: Graph) { self.graph = graph }

  /// Reads an ONNX file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - inputShapes: sizes, by input name, for inputs the file leaves open beyond the batch.
  /// - Throws: an error whose description says what is wrong with the file.
  public init(contentsOf path: String, inputShapes: [String: [Int]] = [:]) throws {
    graph = try ONNXReader(registry: .all).read(path, inputShapes: inputShapes)
  }

  /// The files that a network is read from; of what is none, the path alone.
  package static func files(_ path: String) -> [String] {
    [path] + ONNXReader.externalFiles(of: path)
  }

  /// Bytes of a file; 0 where there is none.
  package static func fileSize(at path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Writes an ONNX file; it is complete or not there at all.
  ///
  /// - Parameters:
  ///   - path: where it is written.
  ///   - sparse: whether weights of zeros mostly are written as lists of what is not zero.
  public func write(to path: String, sparse: Bool = false) throws {
    var writer = self.writer
    writer.writesSparse = sparse
    try writer.write(graph, to: path)
  }

  /// Bytes of the network's file; `nil` when it is too large for one.
  package var fileSize: Int? { bytes?.count }

  /// The network's file; `nil` when it is too large for one.
  var bytes: Data? { writer.bytes(of: graph) }

  /// Sizes of the network's file in several forms; `nil` when it is too large for one.
  package var fileSizes: PruningReport.FileSizes? {
    var writer = self.writer
    guard let plain = writer.bytes(of: graph), let compressed = plain.compressedCount else {
      return nil
    }
    writer.writesSparse = true
    guard let sparse = writer.bytes(of: graph), let both = sparse.compressedCount else {
      return nil
    }
    return PruningReport.FileSizes(
      plain: plain.count, compressed: compressed, sparse: sparse.count, sparseCompressed: both)
  }

  /// Multiply-accumulates of one example.
  public var macs: Int {
    ((try? graph.shapes(batch: 1)).map { graph.macsByNode(shapes: $0) } ?? []).reduce(0, +)
  }

  /// Numbers in the weights, biases and normalizations, running statistics not counted.
  public var parameters: Int {
    let roles = graph.parameterRoles
    return graph.constants.reduce(0) { sum, entry in
      roles[entry.key].map { $0 != .statistic } ?? false ? sum + entry.value.count : sum
    }
  }

  /// Parameters that are not zero.
  public var nonzeroParameters: Int {
    let roles = graph.parameterRoles
    return graph.constants.reduce(0) { sum, entry in
      guard let role = roles[entry.key], role != .statistic else { return sum }
      return sum + entry.value.floats.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
    }
  }
}

extension Graph {
  /// Says in the file's metadata what was done; what an earlier job said of the same is replaced.
  mutating func note(_ facts: [(key: String, value: String)]) {
    let keys = Set(facts.map(\.key))
    metadata = metadata.filter { !keys.contains($0.key) } + facts
  }
}

extension Network {
  /// Says which nap has written, and leaves out what examples can do without.
  private var writer: ONNXWriter {
    var writer = ONNXWriter()
    writer.producerVersion = Runtime.version
    writer.branches = graph.fileBranches
    return writer
  }
}

extension Graph {
  /// What its file has as branches.
  package var fileBranches: [FileBranch] {
    guard let shapes = try? shapes(batch: 1) else { return [] }
    return outermostBranchGates(shapes).map { gate in
      FileBranch(
        product: gate.product, decision: gate.decision, nodes: gate.nodes,
        shape: [1] + shapes[gate.features.index].dropFirst())
    }
  }
}
