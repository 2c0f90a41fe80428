package import NapGraph
import NapTensor

/// The input without some axes of size 1.
package struct Squeeze: ReshapingOperator {
  package static let name = "Squeeze"

  package var axes: [Int]

  package init(axes: [Int]) { self.axes = axes }

  /// Where no axes are named, those that have size 1 when the network is read are meant: a batch
  /// of one example later keeps its axis.
  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let shape = try node.shape(ofInput: 0)
    let axes = try node.ints("axes", orInput: 1) ?? shape.indices.filter { shape[$0] == 1 }
    return try ImportedOperator(Squeeze(axes: axes), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, constants: [1: Tensor(axes)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    let gone = try axes.axes(ofRank: shape.count)
    for axis in gone where shape[axis] != 1 {
      throw OperatorError("axis \(axis) of shape \(shape) cannot be removed, its size is not 1")
    }
    return [shape.indices.filter { !gone.contains($0) }.map { shape[$0] }]
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.inputShapes[0].count
    let gone = axes.map { $0 < 0 ? $0 + rank : $0 }
    for axis in gone { links.freeze(.input(0, axis: axis), "the axis is squeezed") }
    let kept = (0..<rank).filter { !gone.contains($0) }
    for (output, input) in kept.enumerated() {
      links.unite(.input(0, axis: input), .output(0, axis: output))
    }
  }
}
