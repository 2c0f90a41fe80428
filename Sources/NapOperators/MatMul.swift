package import NapEngine
package import NapGraph
package import NapTensor

/// Matrix product over the last two axes, the leading ones broadcast as in NumPy.
package struct MatMul: AffineOperator {
  package static let name = "MatMul"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(MatMul(), first: 2, of: node)
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    guard inputs.allSatisfy({ !$0.isEmpty }) else {
      throw OperatorError("cannot multiply a scalar")
    }
    let (a, b) = Self.matrices(inputs)
    guard a[a.count - 1] == b[b.count - 2] else {
      throw OperatorError("shapes \(inputs[0]) and \(inputs[1]) cannot be multiplied")
    }
    let leading = try Add().infer([a.dropLast(2), b.dropLast(2)])[0]
    let rows = inputs[0].count == 1 ? [] : [a[a.count - 2]]
    let columns = inputs[1].count == 1 ? [] : [b[b.count - 1]]
    let shape = leading + rows + columns
    _ = try (leading + [a[a.count - 2], b[b.count - 1]]).elementCount()
    return [shape]
  }

  /// The operands' shapes with a vector seen as a row on the left and as a column on the right.
  private static func matrices(_ inputs: [[Int]]) -> (a: [Int], b: [Int]) {
    (
      inputs[0].count == 1 ? [1] + inputs[0] : inputs[0],
      inputs[1].count == 1 ? inputs[1] + [1] : inputs[1]
    )
  }

  package func link(_ links: inout IndexLinks) {
    let (a, b, output) = (links.inputShapes[0], links.inputShapes[1], links.outputShapes[0])
    links.unite(.input(0, axis: a.count - 1), .input(1, axis: max(0, b.count - 2)))
    if b.count > 1 { links.unite(.input(1, axis: b.count - 1), .output(0, axis: output.count - 1)) }
    if a.count > 1 {
      links.unite(
        .input(0, axis: a.count - 2), .output(0, axis: output.count - (b.count > 1 ? 2 : 1)))
    }
    let trailing = (a.count > 1 ? 1 : 0) + (b.count > 1 ? 1 : 0)
    for (operand, shape) in [a, b].enumerated() where shape.count > 2 {
      for axis in 0..<shape.count - 2 {
        let outputAxis = axis + (output.count - trailing) - (shape.count - 2)
        if shape[axis] == output[outputAxis] {
          links.unite(.input(operand, axis: axis), .output(0, axis: outputAxis))
        } else {
          links.freeze(.input(operand, axis: axis), "its single index is broadcast")
        }
      }
    }
  }

  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int {
    outputs[0].product * (inputs[0].last ?? 1)
  }

  package func role(ofInput index: Int) -> ParameterRole? { .weight }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    var y = [Double](repeating: 0, count: shape.product)
    Self.forEachProduct(inputs.map(\.shape)) { p, q, result in
      y[result] += Double(inputs[0].floats[p]) * Double(inputs[1].floats[q])
    }
    return [Tensor(shape: shape, floats: y.map(Float.init))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var sums = inputs.map { [Double](repeating: 0, count: $0.count) }
    let dy = cotangents[0].floats
    Self.forEachProduct(inputs.map(\.shape)) { p, q, result in
      sums[0][p] += Double(dy[result]) * Double(inputs[1].floats[q])
      sums[1][q] += Double(dy[result]) * Double(inputs[0].floats[p])
    }
    return zip(inputs, sums).map { Tensor(shape: $0.shape, floats: $1.map(Float.init)) }
  }

  /// Calls `body` with the indices of the two factors and of the element they are added to.
  private static func forEachProduct(
    _ inputs: [[Int]], _ body: (_ a: Int, _ b: Int, _ result: Int) -> Void
  ) {
    let (a, b) = matrices(inputs)
    let (m, k, n) = (a[a.count - 2], a[a.count - 1], b[b.count - 1])
    let leading = (try? Add().infer([a.dropLast(2), b.dropLast(2)])[0]) ?? []
    var starts = [[Int]](repeating: [], count: 2)
    for (operand, shape) in [a, b].enumerated() {
      let own = shape.dropLast(2)
      let strides = zip(own, shape.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
      let missing = [Int](repeating: 0, count: leading.count - own.count)
      StridedView(shape: leading, strides: missing + strides).forEach { starts[operand].append($1) }
    }
    for (block, (startA, startB)) in zip(starts[0], starts[1]).enumerated() {
      for i in 0..<m {
        for j in 0..<n {
          for l in 0..<k { body(startA + i * k + l, startB + l * n + j, (block * m + i) * n + j) }
        }
      }
    }
  }
}

// MARK: Kronecker factors
extension MatMul: PositionMajorOperator {
  package var weightOutputAxis: Int { 1 }
  package var weightInputAxis: Int { 0 }
  package var weightFactor: Float { 1 }
  package var acceptsBias: Bool { false }

  package func affineShape(_ inputs: [[Int]]) -> AffineShape? {
    guard inputs[0].count >= 2, inputs[1].count == 2 else { return nil }
    return AffineShape(
      groups: 1, inputs: inputs[1][0], outputs: inputs[1][1],
      positions: inputs[0].dropFirst().dropLast().product)
  }
}

// MARK: Lowering
extension MatMul: Lowerable {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w) = (node.inputs[0], node.inputs[1])
    guard plan.isConstant(w), !plan.isConstant(x), plan.shape(w).count == 2, plan.shape(x).count > 1
    else { return try PlainLowering.lower(node, into: plan) }
    return try plan.lowerInnerProduct(
      input: x, weight: w, bias: nil, output: node.outputs[0], transposed: true, label: name)
  }
}
