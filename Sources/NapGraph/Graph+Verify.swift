package import NapTensor

extension Graph {
  /// Checks what every graph must satisfy: one producer a value, topological order, shapes that
  /// can be inferred.
  package func verify() throws(GraphError) {
    var defined = Set(inputs.map(\.value)).union(constants.keys)
    for node in nodes {
      for input in node.inputs where !defined.contains(input) {
        throw .invalid("node '\(node.name)' uses '\(name(of: input))' before it is computed")
      }
      for output in node.outputs where !defined.insert(output).inserted {
        throw .invalid("value '\(name(of: output))' is computed more than once")
      }
    }
    for output in outputs where !defined.contains(output.value) {
      throw .invalid("output '\(name(of: output.value))' is never computed")
    }
    let integers = integerValues
    for node in nodes {
      for (index, value) in node.inputs.enumerated()
      where integers.contains(value) && !node.op.readsIntegers(ofInput: index) {
        let isInput = inputs.contains { $0.value == value }
        throw .invalid(
          "node '\(node.name)' (\(node.op.name)) reads '\(name(of: value))', which holds whole numbers; "
            + (isInput
              ? "only Gather and Cast to float may read such an input"
              : "only Cast to float may read such numbers: export the network without what follows")
        )
      }
      for (index, value) in node.inputs.enumerated()
      where !integers.contains(value) && !node.op.readsFloats(ofInput: index) {
        throw .invalid(
          "node '\(node.name)' looks up '\(name(of: value))', which holds floats; declare it int64")
      }
    }
    _ = try shapes(batch: 2)
  }

  /// What values hold that are no floats: inputs, computed ones, and constants.
  package var elementTypes: [ValueID: ElementType] {
    var result = constants.mapValues(\.elementType)
    for input in inputs { result[input.value] = input.elementType }
    for node in nodes {
      for (index, value) in node.outputs.enumerated() {
        result[value] = node.op.elementType(ofOutput: index)
      }
    }
    return result.filter { $0.value != .float32 }
  }

  /// Values that hold whole numbers, or truth.
  package var integerValues: Set<ValueID> { Set(elementTypes.keys) }

  /// Puts every node behind those it reads from; the others stay in their order.
  package mutating func sortNodes() {
    var known = Set(inputs.map(\.value) + constants.keys)
    var (sorted, waiting) = ([Node](), nodes)
    while !waiting.isEmpty {
      var rest: [Node] = []
      for node in waiting {
        if node.inputs.allSatisfy(known.contains) {
          known.formUnion(node.outputs)
          sorted.append(node)
        } else {
          rest.append(node)
        }
      }
      guard rest.count < waiting.count else {
        sorted += rest
        break
      }
      waiting = rest
    }
    nodes = sorted
  }

  /// The graph without nodes and constants that no output needs.
  package func withoutDeadNodes() -> Graph {
    let needed = ancestors(of: outputs.map(\.value))
    var result = self
    result.nodes = nodes.filter { $0.outputs.contains(where: needed.contains) }
    result.constants = constants.filter { needed.contains($0.key) }
    return result
  }
}
