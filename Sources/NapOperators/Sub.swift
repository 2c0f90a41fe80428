package import NapGraph

/// The difference of two tensors.
package struct Sub: BroadcastingOperator {
  package static let name = "Sub"
  package static let operandRole: ParameterRole? = .bias

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a - b }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a &- b }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (1, -1) }
}
