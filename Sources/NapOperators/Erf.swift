import Foundation
package import NapGraph
package import NapKernels

/// The error function.
package struct Erf: KernelElementwiseOperator {
  package static let name = "Erf"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Erf(), of: node)
  }

  package func value(_ x: Double) -> Double { erf(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double {
    2 / Double.pi.squareRoot() * exp(-x * x)
  }

  package var activation: Activation? { nil }
}
