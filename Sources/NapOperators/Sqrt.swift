import Foundation
package import NapGraph
package import NapKernels
package import NapTensor

/// The square root.
package struct Sqrt: KernelElementwiseOperator {
  package static let name = "Sqrt"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Sqrt(), of: node)
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { false }
  package func value(_ x: Double) -> Double { x.squareRoot() }
  package func derivative(_ x: Double, _ y: Double) -> Double { 0.5 / y }

  package var activation: Activation? { .squareRoot }
}
