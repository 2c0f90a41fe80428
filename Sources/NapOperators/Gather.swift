import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// The parts of one axis at some indices that are known before running.
package struct Gather: Operator {
  package static let name = "Gather"

  /// Negative numbers count from the end.
  package var axis: Int
  /// What is taken; negative numbers count from the end.
  package var indices: [Int]
  /// The shape of the indices, which replaces the axis; empty for a single index.
  package var indexShape: [Int]

  package init(axis: Int, indices: [Int], indexShape: [Int]? = nil) {
    self.axis = axis
    self.indices = indices
    self.indexShape = indexShape ?? [indices.count]
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    if node.hasInput(1), node.inputs[1]?.constant == nil { return try lookingUp(node) }
    guard let indices = try node.constant(ofInput: 1, "indices") else {
      throw OperatorError("the indices (input 1) are missing")
    }
    guard !indices.isFloat else { throw OperatorError("the indices (input 1) are floats") }
    let op = Gather(
      axis: try node.int("axis", default: 0), indices: indices.integers.map(Int.init),
      indexShape: indices.shape)
    // All of a flat tensor in order, as views are exported: the indices depend on the batch size.
    let shape = try node.shape(ofInput: 0)
    if shape == [op.indices.count], op.indices.elementsEqual(op.indices.indices) {
      return try ImportedOperator(Reshape(target: indices.shape, of: shape), of: node)
    }
    return try ImportedOperator(op, of: node)
  }

  /// Of a constant, at indices that the network computes with: an `Embedding`.
  private static func lookingUp(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let shape = try node.shape(ofInput: 0)
    let axis = try node.int("axis", default: 0)
    guard node.inputs[0]?.constant?.isFloat ?? false, axis == 0 || axis == -shape.count else {
      throw OperatorError(
        "indices that are not known before running are supported into the rows of a table of floats",
        recovery: "export the network so that they are constants")
    }
    return ImportedOperator(Embedding(), inputs: [0, 1])
  }

  package func exported() -> ExportedOperator {
    let tensor = Tensor(shape: indexShape, integers: indices.map(Int64.init))
    return ExportedOperator(name, attributes: ["axis": .int(axis)], constants: [1: tensor])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    let axis = try axis.axis(ofRank: shape.count)
    guard try indexShape.checkedElementCount() == indices.count else {
      throw OperatorError("\(indices.count) indices do not fill the shape \(indexShape)")
    }
    for index in indices where index < -shape[axis] || index >= shape[axis] {
      throw OperatorError("index \(index) is outside an axis of size \(shape[axis])")
    }
    let result = shape[..<axis] + indexShape + shape[(axis + 1)...]
    try Array(result).checkedElementCount()
    return [Array(result)]
  }

  /// The axis that is gathered from, and the indices counted from its start.
  private func position(_ shape: [Int]) -> (axis: Int, indices: [Int]) {
    let axis = axis < 0 ? axis + shape.count : axis
    return (axis, indices.map { $0 < 0 ? $0 + shape[axis] : $0 })
  }

  package func link(_ links: inout IndexLinks) {
    let shape = links.inputShapes[0]
    let (axis, indices) = position(shape)
    for a in shape.indices where a != axis {
      let shift = a < axis ? 0 : indexShape.count - 1
      links.unite(.input(0, axis: a), .output(0, axis: a + shift))
    }
    if indexShape.count == 1 {
      for (k, index) in indices.enumerated() {
        links.unite(.input(0, axis: axis), index, .output(0, axis: axis), k)
      }
    } else {
      for index in Set(indices) {
        links.freeze(.input(0, axis: axis), index, "single indices of it are gathered")
      }
      for a in indexShape.indices {
        links.freeze(.output(0, axis: axis + a), "its indices are gathered one by one")
      }
    }
  }

  package func adapted(to cut: NodeCut) -> Gather {
    let (axis, indices) = position(cut.inputShapes[0])
    let kept = cut.keptInputs[0][axis]
    let left = indexShape.count == 1 ? cut.keptOutputs[0][axis].map { indices[$0] } : indices
    let renumbered = left.compactMap { kept.firstIndex(of: $0) }
    return Gather(
      axis: axis, indices: renumbered,
      indexShape: indexShape.count == 1 ? [renumbered.count] : indexShape)
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let (axis, indices) = position(inputs[0].shape)
    return [inputs[0].selecting(indices, axis: axis).reshaped(to: inferred(inputs)[0])]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    var dx = [Float](repeating: 0, count: x.count)
    let (axis, indices) = position(x.shape)
    let (inner, size) = (x.shape[(axis + 1)...].product, x.shape[axis])
    for outer in 0..<x.shape[..<axis].product {
      for (k, index) in indices.enumerated() {
        for i in 0..<inner {
          dx[(outer * size + index) * inner + i] +=
            cotangents[0].floats[(outer * indices.count + k) * inner + i]
        }
      }
    }
    return [Tensor(shape: x.shape, floats: dx)]
  }
}

extension Gather: MovingOperator {
  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let shape = inputs[0]
    let (axis, indices) = position(shape)
    let (outer, inner) = (shape[..<axis].product, shape[(axis + 1)...].product)
    return indices.enumerated().map { k, index in
      DataMove(
        input: 0, output: 0,
        move: StridedMove(
          shape: [outer, inner], sourceOffset: index * inner,
          sourceStrides: [shape[axis] * inner, 1], destinationOffset: k * inner,
          destinationStrides: [indices.count * inner, 1]))
    }
  }
}
