package import NapGraph
package import NapTensor

/// The decision of a gate that is being trained: `x` where it is larger than a threshold that somebody moves, and
/// 0 elsewhere. Stands in no file: a `ThresholdedRelu` is what becomes of it.
///
/// The jump at the threshold has no derivative, and closed units would never learn that they are needed: gradients
/// feel it as if the threshold were drawn from a triangle around it.
///
/// - Shapes: `x` any, the threshold `[1]`.
package struct MovingThreshold: Operator {
  package static let name = "MovingThreshold"

  /// How wide the triangle is on either side, as a share of the threshold; 0 leaves the derivative of what is
  /// computed, as published.
  package var softness: Float

  package init(softness: Float) { self.softness = softness }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("\(name) stands in no file")
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    return [inputs[0]]
  }

  package func link(_ links: inout IndexLinks) {
    for axis in links.inputShapes[0].indices {
      links.unite(.input(0, axis: axis), .output(0, axis: axis))
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let threshold = inputs[1].floats[0]
    return [
      Tensor(
        shape: inputs[0].shape, floats: inputs[0].floats.map { $0 <= threshold ? 0 : $0 })
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let threshold = inputs[1].floats[0]
    let width = softness * threshold
    let gradients = zip(inputs[0].floats, cotangents[0].floats).map { x, dy -> Float in
      let density = width > 0 ? max(0, 1 - abs(x - threshold) / width) / width : 0
      return dy * ((x > threshold ? 1 : 0) + x * density)
    }
    return [Tensor(shape: inputs[0].shape, floats: gradients), nil]
  }
}
