import NapEngine
package import NapGraph
package import NapTensor

extension Graph {
  /// What a plan of the network computes.
  package func outputs(of x: Tensor) throws -> [Tensor] {
    let plan = try Plan(self, batch: x.shape[0])
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    return plan.outputShapes.enumerated().map { n, shape in
      let values = UnsafeBufferPointer(start: plan.outputs[n], count: shape.product)
      return Tensor(shape: shape, floats: Array(values))
    }
  }
}
