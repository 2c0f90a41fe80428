package import NapGraph
package import NapTensor

/// Whether elements of the first tensor are larger than those of the second: 1 where they are, 0 elsewhere.
///
/// Truth has no derivative, and `Cast` makes numbers of it: whatever computes what is compared, training leaves alone.
package struct Greater: BroadcastingOperator {
  package static let name = "Greater"
  package static let operandRole: ParameterRole? = nil

  package init() {}

  package func elementType(ofOutput index: Int) -> ElementType { .bool }

  package static func value(_ a: Float, _ b: Float) -> Float { a > b ? 1 : 0 }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a > b ? 1 : 0 }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (0, 0) }
}
