import Foundation
package import NapGraph
package import NapKernels
package import NapTensor

/// The exponential function.
package struct Exp: KernelElementwiseOperator {
  package static let name = "Exp"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Exp(), of: node)
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { false }
  package func value(_ x: Double) -> Double { exp(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double { y }

  package var activation: Activation? { .exponential }
}
