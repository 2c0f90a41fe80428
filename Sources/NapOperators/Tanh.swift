import Foundation
package import NapGraph
package import NapKernels

/// The hyperbolic tangent.
package struct Tanh: KernelElementwiseOperator {
  package static let name = "Tanh"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Tanh(), of: node)
  }

  package func value(_ x: Double) -> Double { tanh(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double { 1 - y * y }

  package var activation: Activation? { .tanh }
}
