import Foundation
package import NapGraph
package import NapKernels
package import NapTensor

/// `x` where it is positive, `alpha · (exp(x / alpha) - 1)` elsewhere.
package struct Celu: KernelElementwiseOperator {
  package static let name = "Celu"

  package var alpha: Float

  package init(alpha: Float = 1) {
    self.alpha = alpha
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = Celu(
      alpha: try node.float("alpha", default: 1))
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(alpha)])
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { alpha > 0 }
  package func value(_ x: Double) -> Double { x > 0 ? x : Double(alpha) * expm1(x / Double(alpha)) }
  package func derivative(_ x: Double, _ y: Double) -> Double { x > 0 ? 1 : exp(x / Double(alpha)) }

  package var activation: Activation? { nil }
}
