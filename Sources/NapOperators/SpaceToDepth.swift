package import NapGraph

/// Blocks of pixels laid out as channels.
package struct SpaceToDepth: BlockMove {
  package static let name = "SpaceToDepth"
  package static let isUnfolding = false

  package var blockSize: Int
  package var isColumnRowDepth: Bool { false }

  package init(blockSize: Int) { self.blockSize = blockSize }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = SpaceToDepth(blockSize: try node.int("blocksize", default: 0))
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["blocksize": .int(blockSize)])
  }
}
