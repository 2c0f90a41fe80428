import NapTensor

extension Graph {
  /// Shapes of the inputs with every dynamic dimension set to `batch`.
  package func inputShapes(batch: Int) -> [[Int]] {
    inputs.map { port in
      port.dimensions.map { if case .fixed(let size) = $0 { size } else { batch } }
    }
  }

  /// The shape of every value, by `ValueID.index`, with every dynamic dimension set to `batch`.
  package func shapes(batch: Int) throws(GraphError) -> [[Int]] {
    try shapes(inputs: inputShapes(batch: batch))
  }

  /// The shape of every value, by `ValueID.index`; empty for values that are never computed.
  package func shapes(inputs given: [[Int]]) throws(GraphError) -> [[Int]] {
    guard given.count == inputs.count else {
      throw .inputCount(expected: inputs.count, given: given.count)
    }
    var shapes = [[Int]](repeating: [], count: valueNames.count)
    for (port, shape) in zip(inputs, given) {
      let fits =
        port.dimensions.count == shape.count
        && zip(port.dimensions, shape).allSatisfy {
          if case .fixed(let size) = $0 { size == $1 } else { $1 > 0 }
        }
      guard fits else {
        let expected = port.dimensions.map {
          switch $0 {
          case .fixed(let size): String(size)
          case .dynamic(let name): name
          }
        }.joined(separator: "x")
        throw .inputShape(name: name(of: port.value), expected: expected, given: shape)
      }
      shapes[port.value.index] = shape
    }
    for (port, shape) in zip(inputs, given) where shape.elementCount == nil {
      throw .invalid("input '\(name(of: port.value))' cannot have the shape \(shape)")
    }
    for (value, tensor) in constants { shapes[value.index] = tensor.shape }
    for node in nodes {
      let inferred = try infer(node, node.inputs.map { shapes[$0.index] })
      for (output, shape) in zip(node.outputs, inferred) { shapes[output.index] = shape }
    }
    return shapes
  }

  private func infer(_ node: Node, _ inputs: [[Int]]) throws(GraphError) -> [[Int]] {
    do throws(OperatorError) {
      let shapes = try node.op.infer(inputs)
      if let shape = shapes.first(where: { $0.elementCount == nil }) {
        throw OperatorError("its result would have the impossible shape \(shape)")
      }
      return shapes
    } catch {
      throw .node(
        name: node.name, type: node.op.name, problem: error.problem, recovery: error.recovery)
    }
  }

  /// Multiply-accumulates of one example, by node.
  package func macsByNode(shapes: [[Int]]) -> [Int] {
    nodes.map { node in
      node.op.macs(
        inputs: node.inputs.map { shapes[$0.index] }, outputs: node.outputs.map { shapes[$0.index] }
      )
    }
  }
}
