package import NapGraph
import NapTensor

/// The input as a matrix: the axes before `axis` become rows, the others columns.
package struct Flatten: ReshapingOperator {
  package static let name = "Flatten"
  package var axis: Int

  package init(axis: Int = 1) { self.axis = axis }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Flatten(axis: node.int("axis", default: 1)), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["axis": .int(axis)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let rank = inputs[0].count
    let split = axis == rank ? rank : try axis.axis(ofRank: rank)
    return [[inputs[0][..<split], inputs[0][split...]].map { $0.reduce(1, *) }]
  }
}
