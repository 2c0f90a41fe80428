package import NapGraph

/// The larger of two tensors, element by element.
package struct Max: BroadcastingOperator {
  package static let name = "Max"
  package static let operandRole: ParameterRole? = .bias

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    switch node.inputs.count {
    case 1: return try ImportedOperator(Identity(), of: node)
    case 0, 2: return try ImportedOperator(Self(), first: 2, of: node)
    default: throw OperatorError("more than two operands are not supported")
    }
  }

  package static func value(_ a: Float, _ b: Float) -> Float { a > b || a.isNaN ? a : b }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { max(a, b) }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) {
    a >= b ? (1, 0) : (0, 1)
  }
}
