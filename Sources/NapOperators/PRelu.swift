package import NapGraph

/// `x` where it is positive, `slope · x` elsewhere, with a slope that is learned.
package struct PRelu: BroadcastingOperator {
  package static let name = "PRelu"
  package static let operandRole: ParameterRole? = .scale

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a < 0 ? b * a : a }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a < 0 ? b &* a : a }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) {
    a < 0 ? (b, a) : (1, 0)
  }
}
