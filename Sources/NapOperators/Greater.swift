package import NapGraph

/// 1 where the first tensor is larger than the second, 0 elsewhere: the decision of a gate.
package struct Greater: BroadcastingOperator {
  package static let name = "Greater"
  package static let operandRole = ParameterRole.bias

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a > b ? 1 : 0 }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a > b ? 1 : 0 }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (0, 0) }
}
