import NapTensor

extension Graph {
  /// The graph without some indices: constants lose slices, operators adapt.
  ///
  /// - Parameter removed: ascending indices to delete, by value and axis; the set must be closed
  ///   under the operators' index links.
  /// - Throws: `GraphError` when the result is not a valid graph, which a closed set never causes.
  package func removing(_ removed: [IndexAtoms.Place: [Int]]) throws(GraphError) -> Graph {
    let before = try shapes(batch: 1)
    func kept(_ value: ValueID) -> [[Int]] {
      before[value.index].enumerated().map { axis, size in
        guard let gone = removed[.init(value: value, axis: axis)] else { return Array(0..<size) }
        let goneSet = Set(gone)
        return (0..<size).filter { !goneSet.contains($0) }
      }
    }
    var result = self
    for (value, tensor) in constants {
      var cut = tensor
      for (axis, indices) in kept(value).enumerated() where indices.count < tensor.shape[axis] {
        cut = cut.selecting(indices, axis: axis)
      }
      result.constants[value] = cut
    }
    for (place, indices) in removed where !indices.isEmpty {
      let whole = AxisCut(size: before[place.value.index][place.axis])
      result.cuts[place] = (cuts[place] ?? whole).keeping(kept(place.value)[place.axis])
    }
    for (n, node) in nodes.enumerated() {
      let cut = NodeCut(
        inputShapes: node.inputs.map { before[$0.index] },
        outputShapes: node.outputs.map { before[$0.index] },
        keptInputs: node.inputs.map(kept), keptOutputs: node.outputs.map(kept))
      result.nodes[n].op = node.op.adapted(to: cut)
    }
    let after = try result.shapes(batch: 1)
    for value in Set(nodes.flatMap(\.outputs)) {
      let expected = kept(value).map(\.count)
      guard after[value.index] == expected else {
        throw .invalid(
          "cutting left '\(name(of: value))' with shape \(after[value.index]) instead of \(expected)"
        )
      }
    }
    return result
  }
}
