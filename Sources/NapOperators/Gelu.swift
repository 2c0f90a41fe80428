import Foundation
package import NapGraph
package import NapKernels

/// `x · Φ(x)`, `Φ` the distribution function of the normal distribution, or its `tanh` approximation.
///
/// - Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
package struct Gelu: KernelElementwiseOperator {
  package static let name = "Gelu"

  /// Whether `Φ` is approximated by `tanh`.
  package var isApproximate: Bool

  package init(isApproximate: Bool = false) { self.isApproximate = isApproximate }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    switch try node.string("approximate", default: "none") {
    case "none": return try ImportedOperator(Gelu(), of: node)
    case "tanh": return try ImportedOperator(Gelu(isApproximate: true), of: node)
    case let other: throw OperatorError("attribute 'approximate' is '\(other)'")
    }
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name, attributes: ["approximate": .string(isApproximate ? "tanh" : "none")], opset: 20)
  }

  package func value(_ x: Double) -> Double {
    isApproximate ? 0.5 * x * (1 + tanh(Self.inner(x))) : 0.5 * x * (1 + erf(x / 2.squareRoot()))
  }

  package func derivative(_ x: Double, _ y: Double) -> Double {
    if isApproximate {
      let t = tanh(Self.inner(x))
      let slope = Self.factor * (1 + 3 * 0.044715 * x * x)
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope
    }
    let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    return 0.5 * (1 + erf(x / 2.squareRoot())) + x * density
  }

  private static let factor = (2 / Double.pi).squareRoot()
  private static func inner(_ x: Double) -> Double { factor * (x + 0.044715 * x * x * x) }

  package var activation: Activation? { isApproximate ? .geluTanh : .geluErf }
}
