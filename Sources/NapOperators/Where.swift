package import NapGraph
package import NapTensor

/// One tensor where a condition that is known before running holds, another where it does not.
package struct Where: Operator {
  package static let name = "Where"

  package var condition: Tensor

  package init(condition: Tensor) { self.condition = condition }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let condition = try node.constant(ofInput: 0, "the condition") else {
      throw OperatorError("the condition (input 0) is missing")
    }
    guard condition.elementType == .bool else {
      throw OperatorError("the condition (input 0) is not boolean")
    }
    for index in 1...2 { _ = try node.shape(ofInput: index) }
    return ImportedOperator(Where(condition: condition), inputs: [1, 2])
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, inputPositions: [1, 2], constants: [0: condition])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    return try Add().infer([try Add().infer(inputs)[0], condition.shape])
  }

  package func link(_ links: inout IndexLinks) {
    let output = links.outputShapes[0]
    for (axis, size) in condition.shape.enumerated() where size > 1 {
      links.freeze(
        .output(0, axis: axis + output.count - condition.shape.count),
        "a condition chooses among its indices")
    }
    for (operand, shape) in links.inputShapes.enumerated() {
      for (axis, size) in shape.enumerated() {
        let outputAxis = axis + output.count - shape.count
        if size == output[outputAxis] {
          links.unite(.input(operand, axis: axis), .output(0, axis: outputAxis))
        } else {
          links.freeze(.input(operand, axis: axis), "its single index is broadcast")
        }
      }
    }
  }

  package func role(ofInput index: Int) -> ParameterRole? { .bias }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let test = expanded(condition, shape).integers
    let (a, b) = (expanded(inputs[0], shape), expanded(inputs[1], shape))
    return [
      a.isFloat
        ? Tensor(
          shape: shape, floats: test.indices.map { test[$0] != 0 ? a.floats[$0] : b.floats[$0] })
        : Tensor(
          shape: shape,
          integers: test.indices.map { test[$0] != 0 ? a.integers[$0] : b.integers[$0] },
          elementType: a.elementType)
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let shape = outputs[0].shape
    let test = expanded(condition, shape).integers
    return inputs.enumerated().map { operand, x in
      guard x.isFloat else { return nil }
      let chosen = test.map { ($0 != 0) == (operand == 0) }
      let masked = Tensor(
        shape: shape, floats: zip(cotangents[0].floats, chosen).map { $1 ? $0 : 0 })
      return Expand(target: shape).pullback([x], outputs, [masked])[0]
    }
  }

  private func expanded(_ x: Tensor, _ shape: [Int]) -> Tensor {
    Expand(target: shape).forward([x])[0]
  }
}
