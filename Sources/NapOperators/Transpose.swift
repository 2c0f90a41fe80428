import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// The input with its axes in another order.
package struct Transpose: Operator {
  package static let name = "Transpose"

  /// The input axis that each output axis is.
  package var permutation: [Int]

  package init(permutation: [Int]) { self.permutation = permutation }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let rank = try node.shape(ofInput: 0).count
    let permutation = try node.ints("perm") ?? (0..<rank).reversed()
    return try ImportedOperator(Transpose(permutation: permutation), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["perm": .ints(permutation)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    guard permutation.sorted() == Array(shape.indices) else {
      throw OperatorError("perm \(permutation) does not permute the axes of shape \(shape)")
    }
    return [permutation.map { shape[$0] }]
  }

  package func link(_ links: inout IndexLinks) {
    for (output, input) in permutation.enumerated() {
      links.unite(.input(0, axis: input), .output(0, axis: output))
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    [inputs[0].reading(view(inputs[0].shape))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    return [
      Tensor(shape: x.shape, elementType: .float32, writing: [(view(x.shape), cotangents[0])])
    ]
  }

  private func view(_ shape: [Int]) -> StridedView {
    let strides = shape.rowMajorStrides
    return StridedView(
      shape: permutation.map { shape[$0] }, strides: permutation.map { strides[$0] })
  }
}

extension Transpose: MovingOperator {
  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let view = view(inputs[0])
    return [
      DataMove(
        input: 0, output: 0,
        move: StridedMove(
          shape: view.shape, sourceStrides: view.strides,
          destinationStrides: outputs[0].rowMajorStrides))
    ]
  }
}
