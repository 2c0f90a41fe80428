import Foundation
package import NapGraph
package import NapKernels

/// The number with the other sign.
package struct Neg: KernelElementwiseOperator {
  package static let name = "Neg"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Neg(), of: node)
  }

  package func value(_ x: Double) -> Double { -x }
  package func derivative(_ x: Double, _ y: Double) -> Double { -1 }

  package var activation: Activation? { .linear(scale: -1, offset: 0) }
}
