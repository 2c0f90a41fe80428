import Foundation
package import NapGraph
package import NapKernels

/// `gamma · x` where it is positive, `gamma · alpha · (exp(x) - 1)` elsewhere.
package struct Selu: KernelElementwiseOperator {
  package static let name = "Selu"

  package var alpha: Float
  package var gamma: Float

  package init(alpha: Float = 1.6732632, gamma: Float = 1.0507010) {
    self.alpha = alpha
    self.gamma = gamma
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = Selu(
      alpha: try node.float("alpha", default: 1.6732632),
      gamma: try node.float("gamma", default: 1.0507010))
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(alpha), "gamma": .float(gamma)])
  }

  package func value(_ x: Double) -> Double {
    Double(gamma) * (x > 0 ? x : Double(alpha) * expm1(x))
  }
  package func derivative(_ x: Double, _ y: Double) -> Double {
    Double(gamma) * (x > 0 ? 1 : Double(alpha) * exp(x))
  }

  package var activation: Activation? { nil }
}
