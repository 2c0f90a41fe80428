package import NapEngine
package import NapGraph
import NapKernels
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
    try (leading + [a[a.count - 2], b[b.count - 1]]).checkedElementCount()
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
    (outputs[0] + inputs[0].suffix(1)).boundedProduct
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
    let starts = starts([a, b])
    for (block, (startA, startB)) in zip(starts[0], starts[1]).enumerated() {
      for i in 0..<m {
        for j in 0..<n {
          for l in 0..<k { body(startA + i * k + l, startB + l * n + j, (block * m + i) * n + j) }
        }
      }
    }
  }
}

extension MatMul {
  /// Where the matrices begin that are multiplied with each other, for both operands.
  fileprivate static func starts(_ shapes: [[Int]]) -> [[Int]] {
    let leading =
      (try? Add().infer([shapes[0].dropLast(2), shapes[1].dropLast(2)])[0]) ?? []
    return shapes.map { shape in
      let own = shape.dropLast(2)
      let strides = zip(own, shape.rowMajorStrides).map { $0 == 1 ? 0 : $1 }
      let missing = [Int](repeating: 0, count: leading.count - own.count)
      var starts: [Int] = []
      StridedView(shape: leading, strides: missing + strides).forEach { starts.append($1) }
      return starts
    }
  }
}

// MARK: Kronecker factors
extension MatMul: PositionMajorOperator {
  package var weightOutputAxis: Int { 1 }
  package var weightInputAxis: Int { 0 }
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
    else { return try lowerStacks(node, into: plan) }
    return try plan.lowerInnerProduct(
      input: x, weight: w, bias: nil, output: node.outputs[0], transposed: true, label: name)
  }
}

extension MatMul {
  /// Products of stacks of matrices, one after the other; the threads share out the stack.
  private func lowerStacks(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let shapes = node.inputs.map(plan.shape)
    // BLAS counts in 32 bits.
    guard shapes.allSatisfy({ $0.count > 1 && $0.allSatisfy { $0 <= Int(Int32.max) } }) else {
      return try PlainLowering.lower(node, into: plan)
    }
    let (m, k) = (shapes[0][shapes[0].count - 2], shapes[0][shapes[0].count - 1])
    let n = shapes[1][shapes[1].count - 1]
    let starts = Self.starts(shapes)
    let count = starts[0].count
    let operands = try node.inputs.map { try plan.dense(plan.buffer($0)) }
    let output = plan.define(node.outputs[0], Layout(dense: plan.shape(node.outputs[0])))
    plan.run(name, touching: operands + [output]) { memory in
      let (a, b) = (memory.floats(operands[0]), memory.floats(operands[1]))
      let y = memory.floats(output)
      Self.forEach(count) {
        multiply(a + starts[0][$0], b + starts[1][$0], into: y + $0 * m * n, m: m, n: n, k: k)
      }
    }
    return {
      for (operand, value) in node.inputs.enumerated()
      where plan.needsGradient(value) || plan.trains(value) {
        guard let gradient = try plan.gradient(node.outputs[0]).map(plan.dense) else { continue }
        let layout = Layout(dense: shapes[operand])
        // Matrices that meet several others get the sum of their gradients.
        let isShared = Set(starts[operand]).count < count
        func emit(_ result: BufferID) {
          plan.run("MatMul gradient", touching: operands + [gradient, result]) { memory in
            let other = memory.floats(operands[1 - operand])
            let (dy, dx) = (memory.floats(gradient), memory.floats(result))
            dx.update(repeating: 0, count: layout.shape.product)
            Self.forEach(count, inOrder: isShared) { i in
              let (dy, dx) = (dy + i * m * n, dx + starts[operand][i])
              let other = other + starts[1 - operand][i]
              if operand == 0 {
                multiply(
                  dy, other, transposingB: true, into: dx, m: m, n: k, k: n, adding: isShared)
              } else {
                multiply(
                  other, transposingA: true, dy, into: dx, m: k, n: n, k: m, adding: isShared)
              }
            }
          }
        }
        if plan.trains(value) {
          try plan.receiveGradient(of: value, layout, emit)
        } else {
          let result = plan.makeBuffer(layout)
          emit(result)
          plan.contribute(result, to: value)
        }
      }
    }
  }

  private static func forEach(_ count: Int, inOrder: Bool = false, _ body: (Int) -> Void) {
    if inOrder || count == 1 { return (0..<count).forEach(body) }
    parallelLinearAlgebra { part, parts in
      for i in count * part / parts..<count * (part + 1) / parts { body(i) }
    }
  }
}
