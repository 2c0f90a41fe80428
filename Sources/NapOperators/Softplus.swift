import Foundation
package import NapGraph
package import NapKernels

/// `log(1 + exp(x))`.
package struct Softplus: KernelElementwiseOperator {
  package static let name = "Softplus"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Softplus(), of: node)
  }

  package func value(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
  package func derivative(_ x: Double, _ y: Double) -> Double { 1 / (1 + exp(-x)) }

  package var activation: Activation? { .softRelu }
}
