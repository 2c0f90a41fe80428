import Foundation
package import NapGraph
package import NapTensor

/// One tensor to the power of another, element by element.
package struct Pow: BroadcastingOperator {
  package static let name = "Pow"
  package static let operandRole: ParameterRole? = .divisor

  package init() {}

  package func staysFinite(constants: [Tensor?]) -> Bool {
    guard let exponents = constants[1], exponents.isFloat else { return false }
    return exponents.floats.allSatisfy { $0 >= 0 && $0 == $0.rounded() }
  }

  package static func value(_ a: Float, _ b: Float) -> Float { pow(a, b) }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 {
    Int64(truncating: pow(Double(a), Double(b)))
  }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) {
    (b * pow(a, b - 1), a > 0 ? pow(a, b) * log(a) : 0)
  }
}
