package import NapGraph

/// Channels laid out as blocks of pixels.
package struct DepthToSpace: BlockMove {
  package static let name = "DepthToSpace"
  package static let isUnfolding = true

  package var blockSize: Int
  /// ONNX's mode `CRD`: the place in the block is the inner part of the channel index.
  package var isColumnRowDepth: Bool

  package init(blockSize: Int, isColumnRowDepth: Bool = false) {
    self.blockSize = blockSize
    self.isColumnRowDepth = isColumnRowDepth
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let mode = try node.string("mode", default: "DCR")
    guard ["DCR", "CRD"].contains(mode) else {
      throw OperatorError("attribute 'mode' is '\(mode)'")
    }
    let op = DepthToSpace(
      blockSize: try node.int("blocksize", default: 0), isColumnRowDepth: mode == "CRD")
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      attributes: [
        "blocksize": .int(blockSize), "mode": .string(isColumnRowDepth ? "CRD" : "DCR"),
      ])
  }
}
