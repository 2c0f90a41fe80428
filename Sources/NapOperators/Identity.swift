import NapEngine
package import NapGraph
import NapTensor

/// The input itself.
package struct Identity: ReshapingOperator {
  package static let name = "Identity"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Identity(), of: node)
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return inputs
  }

}
