package import NapGraph

/// Normalization of groups of channels of every example over their positions.
///
/// - Shapes: `x [N, C, …]`, `scale [C]`, `bias [C]`.
/// - Source: Wu & He 2018, arXiv:1803.08494.
package struct GroupNormalization: NormalizationOperator {
  package static let name = "GroupNormalization"

  package var groups: Int
  package var epsilon: Float

  package init(groups: Int, epsilon: Float = 1e-5) {
    self.groups = groups
    self.epsilon = epsilon
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard node.opset >= 21 else {
      throw OperatorError(
        "it has one scale a group before opset 21, which is not supported",
        recovery: "export the model with opset 21, or with the parts it is made of")
    }
    let op = GroupNormalization(
      groups: try node.int("num_groups", default: 0),
      epsilon: try node.float("epsilon", default: 1e-5))
    return try ImportedOperator(op, first: 3, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name, attributes: ["num_groups": .int(groups), "epsilon": .float(epsilon)], opset: 21)
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 3)
    guard inputs[0].count >= 2, !inputs[0].contains(0), groups > 0, inputs[0][1] % groups == 0
    else {
      throw OperatorError("an input of shape \(inputs[0]) does not have \(groups) groups")
    }
    for shape in inputs.dropFirst() where shape != [inputs[0][1]] {
      throw OperatorError("parameters of shape \(shape) do not fit \(inputs[0][1]) channels")
    }
    return [inputs[0]]
  }

  package func link(_ links: inout IndexLinks) {
    links.unite(.input(0, axis: 0), .output(0, axis: 0))
    for axis in 1..<links.inputShapes[0].count {
      links.freeze(.input(0, axis: axis), "it is normalized over")
      links.freeze(.output(0, axis: axis), "it is normalized over")
    }
    for input in 1...2 { links.freeze(.input(input, axis: 0), "its channels are normalized over") }
  }

  package func groupSize(_ shape: [Int]) -> Int { shape[1...].reduce(1, *) / groups }
  package func parameters(_ shape: [Int]) -> (count: Int, run: Int) {
    (shape[1], shape[2...].reduce(1, *))
  }
}
