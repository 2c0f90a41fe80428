package import NapGraph
package import NapTensor

/// The largest or smallest numbers along an axis, in order, and where they are.
package struct TopK: PositionOperator {
  package static let name = "TopK"

  /// How many.
  package var count: Int
  /// Negative numbers count from the end.
  package var axis: Int
  /// Whether the largest are wanted, or the smallest.
  package var isLargest: Bool
  /// Whether they must be in order; they are anyway.
  package var isSorted: Bool

  package init(count: Int, axis: Int = -1, isLargest: Bool = true, isSorted: Bool = true) {
    self.count = count
    self.axis = axis
    self.isLargest = isLargest
    self.isSorted = isSorted
  }

  /// The count is an attribute before opset 10.
  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let counts =
      node.opset < 10 ? [try node.int("k", default: 0)] : try node.ints("k", orInput: 1) ?? []
    guard counts.count == 1 else { throw OperatorError("k (input 1) is not one number") }
    guard node.outputCount == 2 else { throw OperatorError("one of its two outputs is missing") }
    let op = TopK(
      count: counts[0], axis: try node.int("axis", default: -1),
      isLargest: try node.int("largest", default: 1) != 0,
      isSorted: try node.int("sorted", default: 1) != 0)
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      attributes: [
        "axis": .int(axis), "largest": .int(isLargest ? 1 : 0), "sorted": .int(isSorted ? 1 : 0),
      ], constants: [1: Tensor([count])])
  }

  package func elementType(ofOutput index: Int) -> ElementType { index == 0 ? .float32 : .int64 }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    var shape = inputs[0]
    let own = try axis.axis(ofRank: shape.count)
    guard (0...shape[own]).contains(count) else {
      throw OperatorError("\(count) of the \(shape[own]) indices of axis \(axis) are wanted")
    }
    shape[own] = count
    return [shape, shape]
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.inputShapes[0].count
    let own = axis < 0 ? axis + rank : axis
    links.freeze(.input(0, axis: own), "\(name) counts its indices")
    for output in 0..<2 {
      links.freeze(.output(output, axis: own), "\(name) has sorted it")
      for a in 0..<rank where a != own {
        links.unite(.input(0, axis: a), .output(output, axis: a))
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let (x, shape) = (inputs[0], inferred(inputs)[0])
    var values = Tensor(shape: shape, repeating: 0)
    var positions = values
    forEachSelected(x) { source, target, position in
      values.floats[target] = x.floats[source]
      positions.floats[target] = Float(position)
    }
    return [values, positions]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var dx = Tensor(shape: inputs[0].shape, repeating: 0)
    forEachSelected(inputs[0]) { source, target, _ in
      dx.floats[source] += cotangents[0].floats[target]
    }
    return [dx]
  }

  /// Calls `body` with every selected element, the element of the outputs it becomes and where it was.
  ///
  /// Of equal numbers the first is taken first.
  private func forEachSelected(
    _ x: Tensor, _ body: (_ source: Int, _ target: Int, _ position: Int) -> Void
  ) {
    let own = axis < 0 ? axis + x.shape.count : axis
    var shape = x.shape
    shape[own] = count
    for (line, targets) in zip(x.shape.lines(along: own), shape.lines(along: own)) {
      let ranked = line.indices.sorted {
        let (a, b) = (x.floats[line[$0]], x.floats[line[$1]])
        if a.precedes(b, largestFirst: isLargest) { return true }
        return !b.precedes(a, largestFirst: isLargest) && $0 < $1
      }
      for (position, target) in zip(ranked, targets) { body(line[position], target, position) }
    }
  }
}
