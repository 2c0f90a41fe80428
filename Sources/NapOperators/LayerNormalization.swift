package import NapGraph

/// Normalization over the last axes.
///
/// - Shapes: `x […]`, `scale` and `bias` the last axes of `x`.
/// - Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.
package struct LayerNormalization: NormalizationOperator {
  package static let name = "LayerNormalization"

  /// The first axis that is normalized over; negative numbers count from the end.
  package var axis: Int
  package var epsilon: Float

  package init(axis: Int = -1, epsilon: Float = 1e-5) {
    self.axis = axis
    self.epsilon = epsilon
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard node.outputCount <= 1 else {
      throw OperatorError("its statistics (outputs 1 and 2) are not supported")
    }
    let op = LayerNormalization(
      axis: try node.int("axis", default: -1), epsilon: try node.float("epsilon", default: 1e-5))
    return try ImportedOperator(op, first: node.hasInput(2) ? 3 : 2, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["axis": .int(axis), "epsilon": .float(epsilon)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: inputs.count == 3 ? 3 : 2)
    let shape = inputs[0]
    let normalized = Array(shape[try axis.axis(ofRank: shape.count)...])
    for parameter in inputs.dropFirst() where parameter != normalized {
      throw OperatorError("parameters of shape \(parameter) do not fit axes of \(normalized)")
    }
    guard !normalized.contains(0) else { throw OperatorError("it normalizes over nothing") }
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.inputShapes[0].count
    let first = axis < 0 ? axis + rank : axis
    for a in 0..<rank { links.unite(.input(0, axis: a), .output(0, axis: a)) }
    for a in first..<rank {
      links.freeze(.input(0, axis: a), "it is normalized over")
      for input in links.inputShapes.indices.dropFirst() {
        links.freeze(.input(input, axis: a - first), "it is normalized over")
      }
    }
  }

  package func groupSize(_ shape: [Int]) -> Int {
    shape[(axis < 0 ? axis + shape.count : axis)...].reduce(1, *)
  }

  package func parameters(_ shape: [Int]) -> (count: Int, run: Int) { (groupSize(shape), 1) }
}
