package import NapGraph
package import NapTensor

/// The input repeated along its axes of size 1, as in broadcasting.
package struct Expand: Operator, BatchDependentOperator {
  package static let name = "Expand"

  /// What the input is broadcast against; 1 leaves an axis as it is.
  package var target: [Int]

  package init(target: [Int]) { self.target = target }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let target = try node.ints("shape", orInput: 1) else {
      throw OperatorError("the target shape (input 1) is missing")
    }
    return try ImportedOperator(Expand(target: target), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, constants: [1: Tensor(target)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return try Add().infer([inputs[0], target])
  }

  package func link(_ links: inout IndexLinks) {
    let (shape, output) = (links.inputShapes[0], links.outputShapes[0])
    for (axis, size) in shape.enumerated() {
      let outputAxis = axis + output.count - shape.count
      if size == output[outputAxis] {
        links.unite(.input(0, axis: axis), .output(0, axis: outputAxis))
      } else {
        links.freeze(.input(0, axis: axis), "its single index is broadcast")
      }
    }
  }

  package func adapted(to cut: NodeCut) -> Expand {
    let output = cut.newOutputShapes[0]
    return Expand(
      target: target.enumerated().map { axis, size in
        size == 1 ? 1 : output[axis + output.count - target.count]
      })
  }

  package func merged(with other: Expand) -> Expand? {
    guard target.count == other.target.count else { return nil }
    // A size that follows the batch is the input's own where the input has it: 1 leaves it alone.
    return Expand(target: zip(target, other.target).map { $0 == $1 ? $0 : 1 })
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    return [inputs[0].reading(view(inputs[0].shape, shape))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    var dx = [Double](repeating: 0, count: x.count)
    view(x.shape, outputs[0].shape).forEach { dx[$1] += Double(cotangents[0].floats[$0]) }
    return [Tensor(shape: x.shape, floats: dx.map(Float.init))]
  }

  private func view(_ input: [Int], _ output: [Int]) -> StridedView {
    let missing = [Int](repeating: 0, count: output.count - input.count)
    let own = zip(input, input.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
    return StridedView(shape: output, strides: missing + own)
  }
}
