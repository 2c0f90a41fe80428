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

  /// Indices of nodes that compute a value for one reader alone, in order; what the reader reads
  /// besides, it reads for itself.
  ///
  /// - Parameters:
  ///   - reader: index of a node that reads it.
  ///   - producers: of every value.
  ///   - readings: of every node, see `readings`.
  package func nodes(
    onlyFor value: ValueID, readBy reader: Int, producers: [Int?], readings: [Int]
  ) -> [Int] {
    var found: [Int] = []
    // A node is found where all readings of it are: nothing else of the network is looked at.
    var unseen: [Int: Int] = [:]
    func see(_ value: ValueID) {
      guard let node = producers[value.index] else { return }
      let left = unseen[node, default: readings[node]] - 1
      unseen[node] = left
      if left == 0 { found.append(node) }
    }
    for input in nodes[reader].inputs where input == value { see(input) }
    var next = 0
    while next < found.count {
      nodes[found[next]].inputs.forEach(see)
      next += 1
    }
    return found.sorted()
  }

  /// How often the outputs of each node are read; being an output of the network counts too.
  package var readings: [Int] {
    let producers = producers
    var result = [Int](repeating: 0, count: nodes.count)
    for value in nodes.flatMap(\.inputs) + outputs.map(\.value) {
      if let node = producers[value.index] { result[node] += 1 }
    }
    return result
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
