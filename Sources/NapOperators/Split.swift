import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// A tensor cut into consecutive parts along one axis.
package struct Split: Operator {
  package static let name = "Split"

  package var axis: Int
  /// The sizes of the outputs along the axis.
  package var sizes: [Int]

  package init(axis: Int, sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let axis = try node.int("axis", default: 0)
    let sizes =
      if let given = try node.ints("split", orInput: 1) { given } else { try evenSizes(node, axis) }
    guard sizes.count == node.outputCount else {
      throw OperatorError("it has \(node.outputCount) outputs but \(sizes.count) sizes")
    }
    return try ImportedOperator(Split(axis: axis, sizes: sizes), of: node)
  }

  /// Equal sizes; from opset 18 on the last part may be smaller.
  private static func evenSizes(_ node: NodeDescription, _ axis: Int) throws(OperatorError) -> [Int]
  {
    let shape = try node.shape(ofInput: 0)
    let size = shape[try axis.axis(ofRank: shape.count)]
    let count = try node.int("num_outputs", default: node.outputCount)
    guard count > 0, count == node.outputCount, size >= 0 else {
      throw OperatorError("it has \(node.outputCount) outputs but num_outputs is \(count)")
    }
    let chunk = size / count + (size % count == 0 ? 0 : 1)
    let last = size - chunk * (count - 1)
    guard last == chunk || (node.opset >= 18 && last >= 0) else {
      throw OperatorError("axis \(axis) of size \(size) cannot be split into \(count) equal parts")
    }
    return [Int](repeating: chunk, count: count - 1) + [last]
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["axis": .int(axis)], constants: [1: Tensor(sizes)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    let axis = try axis.axis(ofRank: shape.count)
    var rest = shape[axis]
    for size in sizes {
      guard size >= 0, size <= rest else {
        throw OperatorError("axis \(axis) of shape \(shape) cannot be split into \(sizes)")
      }
      rest -= size
    }
    guard rest == 0 else {
      throw OperatorError("axis \(axis) of shape \(shape) cannot be split into \(sizes)")
    }
    return sizes.map { size in
      var part = shape
      part[axis] = size
      return part
    }
  }

  package func link(_ links: inout IndexLinks) {
    let origins = origins(rank: links.inputShapes[0].count)
    for (output, shape) in links.outputShapes.enumerated() {
      for axis in shape.indices {
        links.unite(
          .output(output, axis: axis), .input(0, axis: axis), offset: origins[output][axis])
      }
    }
  }

  package func adapted(to cut: NodeCut) -> Split {
    let axis = axis < 0 ? axis + cut.inputShapes[0].count : axis
    return Split(axis: axis, sizes: cut.keptOutputs.map { $0[axis].count })
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    views(of: inputs[0].shape, outputs: inferred(inputs)).map { inputs[0].reading($0) }
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    let views = views(of: x.shape, outputs: outputs.map(\.shape))
    return [
      Tensor(shape: x.shape, elementType: .float32, writing: Array(zip(views, cotangents)))
    ]
  }

  /// Where each output begins in the input.
  private func origins(rank: Int) -> [[Int]] {
    let axis = axis < 0 ? axis + rank : axis
    var start = 0
    return sizes.map { size in
      var origin = [Int](repeating: 0, count: rank)
      origin[axis] = start
      start += size
      return origin
    }
  }

  private func views(of input: [Int], outputs: [[Int]]) -> [StridedView] {
    zip(outputs, origins(rank: input.count)).map {
      StridedView(of: input, origin: $1, shape: $0)
    }
  }
}

extension Split: MovingOperator {
  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    zip(outputs.indices, views(of: inputs[0], outputs: outputs)).map { output, view in
      DataMove(
        input: 0, output: output,
        move: StridedMove(
          shape: view.shape, sourceOffset: view.offset, sourceStrides: view.strides,
          destinationStrides: outputs[output].rowMajorStrides))
    }
  }
}
