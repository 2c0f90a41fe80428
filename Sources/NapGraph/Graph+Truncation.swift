import NapTensor

extension Graph {
  /// Values and all that they depend on.
  package func ancestors(of values: some Sequence<ValueID>) -> Set<ValueID> {
    var result = Set(values)
    for node in nodes.reversed() where node.outputs.contains(where: result.contains) {
      result.formUnion(node.inputs)
    }
    return result
  }

  /// What computes a value for one reader alone, in order.
  ///
  /// - Parameters:
  ///   - reader: index of a node that reads it.
  ///   - others: values whose nodes do not count.
  ///   - consumers: of every value.
  package func nodes(
    onlyFor value: ValueID, readBy reader: Int, but others: Set<ValueID> = [],
    _ consumers: [[Int]]
  ) -> [Int] {
    let given = Set(outputs.map(\.value))
    var (needed, found) = (Set([value]), [Int]())
    var inside: Set<Int> = [reader]
    for index in (0..<reader).reversed() {
      let node = nodes[index]
      guard node.outputs.contains(where: needed.contains),
        node.outputs.allSatisfy({ output in
          !given.contains(output) && !others.contains(output)
            && consumers[output.index].allSatisfy(inside.contains)
        })
      else { continue }
      inside.insert(index)
      found.append(index)
      needed.formUnion(node.inputs)
    }
    return found.reversed()
  }

  /// The network up to some values, which become its outputs; what they do not depend on is left out,
  /// but for inputs.
  ///
  /// - Parameter values: of nodes or inputs, in the order of the new outputs. Their first axis need not
  ///   count examples: sizes that change with the batch are left open wherever they are.
  /// - Throws: `GraphError` when shapes do not fit, or nothing computes a value.
  package func truncated(to values: [ValueID]) throws(GraphError) -> Graph {
    let known = Set(inputs.map(\.value) + nodes.flatMap(\.outputs))
    if let stranger = values.first(where: { !known.contains($0) }) {
      let name = valueNames.indices.contains(stranger.index) ? name(of: stranger) : "\(stranger)"
      throw .invalid("nothing computes the value '\(name)'")
    }
    var result = self
    result.outputs = values.map { Port(value: $0, dimensions: []) }
    result = result.withoutDeadNodes()
    let sizes = tellingBatches
    let shapes = try sizes.map { size throws(GraphError) in try result.shapes(batch: size) }
    let open =
      inputs.first?.dimensions.first { if case .dynamic = $0 { true } else { false } }
      ?? .dynamic("N")
    result.outputs = values.map { value in
      let dimensions = shapes[0][value.index].enumerated().map { axis, size in
        shapes.allSatisfy { $0[value.index][axis] == size } ? Dimension.fixed(size) : open
      }
      return Port(value: value, dimensions: dimensions)
    }
    return result
  }
}
