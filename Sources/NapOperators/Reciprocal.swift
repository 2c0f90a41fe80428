import Foundation
package import NapGraph
package import NapKernels
package import NapTensor

/// `1 / x`.
package struct Reciprocal: KernelElementwiseOperator {
  package static let name = "Reciprocal"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Reciprocal(), of: node)
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { false }
  package func value(_ x: Double) -> Double { 1 / x }
  package func derivative(_ x: Double, _ y: Double) -> Double { -y * y }

  package var activation: Activation? { nil }
}
