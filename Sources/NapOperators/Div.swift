package import NapGraph
package import NapTensor

/// The quotient of two tensors, element by element.
package struct Div: BroadcastingOperator {
  package static let name = "Div"
  package static let operandRole: ParameterRole? = .divisor

  package init() {}

  package func staysFinite(constants: [Tensor?]) -> Bool {
    constants[1]?.isFloat == true && constants[1]?.floats.contains(0) == false
  }

  package static func value(_ a: Float, _ b: Float) -> Float { a / b }
  /// The quotient rounded toward zero; 0 where ONNX leaves a division by zero undefined.
  package static func value(_ a: Int64, _ b: Int64) -> Int64 {
    b == 0 ? 0 : a.dividedReportingOverflow(by: b).partialValue
  }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) {
    (1 / b, -a / (b * b))
  }
}
