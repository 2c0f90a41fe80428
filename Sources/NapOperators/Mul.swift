package import NapGraph

/// The product of two tensors, element by element.
package struct Mul: BroadcastingOperator {
  package static let name = "Mul"
  package static let operandRole = ParameterRole.scale

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a * b }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a &* b }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (b, a) }
}
