import Foundation
package import NapGraph
package import NapKernels

/// `x / (1 + |x|)`.
package struct Softsign: KernelElementwiseOperator {
  package static let name = "Softsign"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Softsign(), of: node)
  }

  package func value(_ x: Double) -> Double { x / (1 + abs(x)) }
  package func derivative(_ x: Double, _ y: Double) -> Double { 1 / ((1 + abs(x)) * (1 + abs(x))) }

  package var activation: Activation? { nil }
}
