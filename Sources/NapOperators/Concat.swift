import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// Tensors one after the other along one axis.
package struct Concat: Operator {
  package static let name = "Concat"

  package var axis: Int

  package init(axis: Int) { self.axis = axis }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard node.attributes["axis"] != nil else { throw OperatorError("attribute 'axis' is missing") }
    let concat = Concat(axis: try node.int("axis", default: 0))
    return try ImportedOperator(concat, first: max(node.inputs.count, 1), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["axis": .int(axis)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    guard var result = inputs.first else { throw OperatorError("takes at least 1 input") }
    try inputs.check(count: inputs.count)
    let axis = try axis.axis(ofRank: result.count)
    for shape in inputs.dropFirst() {
      let fits =
        shape.count == result.count
        && shape.indices.allSatisfy { $0 == axis || shape[$0] == result[$0] }
      guard fits else {
        throw OperatorError("shapes \(inputs[0]) and \(shape) differ beside axis \(axis)")
      }
      let (size, overflow) = result[axis].addingReportingOverflow(shape[axis])
      guard !overflow else { throw OperatorError("the output is too large") }
      result[axis] = size
    }
    try result.checkedElementCount()
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    let origins = origins(links.inputShapes)
    for (input, shape) in links.inputShapes.enumerated() {
      for axis in shape.indices {
        links.unite(
          .input(input, axis: axis), .output(0, axis: axis), offset: origins[input][axis])
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let views = views(inputs.map(\.shape), in: shape)
    let type: ElementType = inputs.contains(where: \.isFloat) ? .float32 : inputs[0].elementType
    return [Tensor(shape: shape, elementType: type, writing: Array(zip(views, inputs)))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let views = views(inputs.map(\.shape), in: outputs[0].shape)
    return zip(inputs, views).map { $0.isFloat ? cotangents[0].reading($1) : nil }
  }

  /// Where each input begins in the output.
  private func origins(_ inputs: [[Int]]) -> [[Int]] {
    let rank = inputs[0].count
    let axis = axis < 0 ? axis + rank : axis
    var start = 0
    return inputs.map { shape in
      var origin = [Int](repeating: 0, count: rank)
      origin[axis] = start
      start += shape[axis]
      return origin
    }
  }

  private func views(_ inputs: [[Int]], in output: [Int]) -> [StridedView] {
    zip(inputs, origins(inputs)).map { StridedView(of: output, origin: $1, shape: $0) }
  }
}

extension Concat: MovingOperator {
  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    zip(inputs.indices, views(inputs, in: outputs[0])).map { input, view in
      DataMove(
        input: input, output: 0,
        move: StridedMove(
          shape: view.shape, sourceStrides: inputs[input].rowMajorStrides,
          destinationOffset: view.offset, destinationStrides: view.strides))
    }
  }
}
