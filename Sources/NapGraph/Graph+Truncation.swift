import NapTensor

extension Graph {
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
