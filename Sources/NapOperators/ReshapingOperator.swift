package import NapEngine
package import NapGraph
package import NapTensor

/// An operator that gives the elements of its input another shape, in the same order.
package protocol ReshapingOperator: Lowerable {}

extension ReshapingOperator {
  package func link(_ links: inout IndexLinks) { links.uniteRowMajor() }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    [inputs[0].reshaped(to: inferred([inputs[0]])[0])]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    [inputs[0].isFloat ? cotangents[0].reshaped(to: inputs[0].shape) : nil]
  }
}
