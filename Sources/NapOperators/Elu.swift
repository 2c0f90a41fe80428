import Foundation
package import NapGraph
package import NapKernels

/// `x` where it is positive, `alpha · (exp(x) - 1)` elsewhere.
package struct Elu: KernelElementwiseOperator {
  package static let name = "Elu"

  package var alpha: Float

  package init(alpha: Float = 1) {
    self.alpha = alpha
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = Elu(
      alpha: try node.float("alpha", default: 1))
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(alpha)])
  }

  package func value(_ x: Double) -> Double { x > 0 ? x : Double(alpha) * expm1(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double { x > 0 ? 1 : Double(alpha) * exp(x) }

  package var activation: Activation? { .elu(alpha: alpha) }
}
