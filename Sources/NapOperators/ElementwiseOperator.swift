package import NapGraph
package import NapTensor

/// An operator that applies one function to every element.
package protocol ElementwiseOperator: Operator {
  /// The function, in double precision so that integers are exact.
  func value(_ x: Double) -> Double
  /// Its derivative at `x`, where the value is `y`.
  func derivative(_ x: Double, _ y: Double) -> Double
}

extension ElementwiseOperator {
  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return inputs
  }

  package func link(_ links: inout IndexLinks) { links.uniteAxes() }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    guard x.isFloat else {
      let results = x.integers.map { Int64(truncating: value(Double($0))) }
      return [Tensor(shape: x.shape, integers: results, elementType: x.elementType)]
    }
    return [Tensor(shape: x.shape, floats: x.floats.map { Float(value(Double($0))) })]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    guard inputs[0].isFloat else { return [nil] }
    let (x, y, dy) = (inputs[0].floats, outputs[0].floats, cotangents[0].floats)
    let gradients = x.indices.map {
      Float(derivative(Double(x[$0]), Double(y[$0])) * Double(dy[$0]))
    }
    return [Tensor(shape: inputs[0].shape, floats: gradients)]
  }
}
