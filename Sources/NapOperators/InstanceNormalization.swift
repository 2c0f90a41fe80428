package import NapGraph

/// Normalization of every channel of every example over its positions.
///
/// - Shapes: `x [N, C, …]`, `scale [C]`, `bias [C]`.
/// - Source: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.
package struct InstanceNormalization: NormalizationOperator {
  package static let name = "InstanceNormalization"

  package var epsilon: Float

  package init(epsilon: Float = 1e-5) { self.epsilon = epsilon }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = InstanceNormalization(epsilon: try node.float("epsilon", default: 1e-5))
    return try ImportedOperator(op, first: 3, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["epsilon": .float(epsilon)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 3)
    guard inputs[0].count > 2, !inputs[0].contains(0) else {
      throw OperatorError("an input of shape \(inputs[0]) is not an image")
    }
    for shape in inputs.dropFirst() where shape != [inputs[0][1]] {
      throw OperatorError("parameters of shape \(shape) do not fit \(inputs[0][1]) channels")
    }
    return [inputs[0]]
  }

  package func link(_ links: inout IndexLinks) {
    for axis in 0..<2 { links.unite(.input(0, axis: axis), .output(0, axis: axis)) }
    for input in 1...2 { links.unite(.input(input, axis: 0), .input(0, axis: 1)) }
    for axis in 2..<links.inputShapes[0].count {
      links.freeze(.input(0, axis: axis), "it is normalized over")
      links.freeze(.output(0, axis: axis), "it is normalized over")
    }
  }

  package func groupSize(_ shape: [Int]) -> Int { shape[2...].reduce(1, *) }
  package func parameters(_ shape: [Int]) -> (count: Int, run: Int) {
    (shape[1], groupSize(shape))
  }
}
