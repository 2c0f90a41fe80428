package import NapTensor

/// The graph as the plain specification of its operators computes it: what plans are tested against.
extension Graph {
  /// The outputs.
  package func evaluate(_ given: [Tensor]) -> [Tensor] {
    let values = allValues(given)
    return outputs.map { value($0.value, in: values) }
  }

  /// Every value, by index, constants among them.
  private func allValues(_ given: [Tensor]) -> [Tensor?] {
    var values = [Tensor?](repeating: nil, count: valueNames.count)
    for (port, tensor) in zip(inputs, given) { values[port.value.index] = tensor }
    for (value, tensor) in constants { values[value.index] = tensor }
    for node in nodes {
      let results = node.op.forward(node.inputs.map { value($0, in: values) })
      for (output, tensor) in zip(node.outputs, results) { values[output.index] = tensor }
    }
    return values
  }

  /// Every value and its gradient, by index.
  ///
  /// - Parameter direction: the gradients of the outputs, from the outputs.
  package func gradients(_ given: [Tensor], _ direction: ([Tensor]) -> [Tensor]) -> (
    values: [Tensor?], gradients: [Tensor?]
  ) {
    let values = allValues(given)
    var gradients = [Tensor?](repeating: nil, count: values.count)
    func add(_ gradient: Tensor, to value: ValueID) {
      let old = gradients[value.index]
      gradients[value.index] =
        old.map { Tensor(shape: $0.shape, floats: zip($0.floats, gradient.floats).map(+)) }
        ?? gradient
    }
    for (port, gradient) in zip(outputs, direction(outputs.map { value($0.value, in: values) })) {
      add(gradient, to: port.value)
    }
    for node in nodes.reversed() where node.outputs.contains(where: { gradients[$0.index] != nil })
    {
      let results = node.outputs.map { value($0, in: values) }
      let pulled = node.op.pullback(
        node.inputs.map { value($0, in: values) }, results,
        zip(node.outputs, results).map {
          gradients[$0.index] ?? Tensor(shape: $1.shape, repeating: 0)
        })
      for (input, gradient) in zip(node.inputs, pulled) {
        if let gradient { add(gradient, to: input) }
      }
    }
    return (values, gradients)
  }

  private func value(_ id: ValueID, in values: [Tensor?]) -> Tensor {
    guard let tensor = values[id.index] else {
      preconditionFailure("value '\(name(of: id))' is used before it is computed")
    }
    return tensor
  }
}
