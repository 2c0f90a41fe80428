import Foundation
package import NapGraph
package import NapKernels

/// `1 / (1 + exp(-x))`.
package struct Sigmoid: KernelElementwiseOperator {
  package static let name = "Sigmoid"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Sigmoid(), of: node)
  }

  package func value(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  package func derivative(_ x: Double, _ y: Double) -> Double { y * (1 - y) }

  package var activation: Activation? { .logistic }
}
