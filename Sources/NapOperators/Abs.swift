import Foundation
package import NapGraph
package import NapKernels

/// The absolute value.
package struct Abs: KernelElementwiseOperator {
  package static let name = "Abs"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Abs(), of: node)
  }

  package func value(_ x: Double) -> Double { abs(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double { x < 0 ? -1 : 1 }

  package var activation: Activation? { .absolute }
}
