package import NapGraph
package import NapTensor

/// The input itself.
package struct Identity: Operator {
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

  package func link(_ links: inout IndexLinks) { links.uniteAxes() }

  package func forward(_ inputs: [Tensor]) -> [Tensor] { inputs }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor]) -> [Tensor?] {
    [inputs[0].isFloat ? cotangents[0] : nil]
  }
}
