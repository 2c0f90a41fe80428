import Foundation
package import NapGraph
package import NapKernels

/// `x · tanh(log(1 + exp(x)))`.
///
/// - Source: Misra 2019, arXiv:1908.08681.
package struct Mish: KernelElementwiseOperator {
  package static let name = "Mish"

  package init() {}

  package func exported() -> ExportedOperator { ExportedOperator(name, opset: 18) }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Mish(), of: node)
  }

  package func value(_ x: Double) -> Double { x * tanh(softplus(x)) }
  package func derivative(_ x: Double, _ y: Double) -> Double {
    let t = tanh(softplus(x))
    return t + x * (1 - t * t) / (1 + exp(-x))
  }

  private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

  package var activation: Activation? { .mish }
}
