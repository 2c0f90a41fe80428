package import NapEngine
package import NapGraph
package import NapTensor

/// `y = α · A · B + β · C` for matrices, each of `A` and `B` transposed or not.
///
/// - Shapes: `A [n, in]`, `B [in, out]`, or the transposed; `C` is broadcast to `[n, out]`.
package struct Gemm: AffineOperator {
  package static let name = "Gemm"

  package var transA: Bool
  package var transB: Bool
  package var alpha: Float
  package var beta: Float

  package init(transA: Bool = false, transB: Bool = true, alpha: Float = 1, beta: Float = 1) {
    self.transA = transA
    self.transB = transB
    self.alpha = alpha
    self.beta = beta
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    var gemm = Gemm(
      transA: try node.int("transA", default: 0) != 0,
      transB: try node.int("transB", default: 0) != 0,
      alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 1))
    // A bias that counts 0 times is none: what it holds is not even read.
    let hasBias = node.hasInput(2) && gemm.beta != 0
    if !hasBias { gemm.beta = 1 }
    return try ImportedOperator(gemm, first: hasBias ? 3 : 2, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      attributes: [
        "transA": .int(transA ? 1 : 0), "transB": .int(transB ? 1 : 0), "alpha": .float(alpha),
        "beta": .float(beta),
      ])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: inputs.count == 3 ? 3 : 2)
    guard inputs[0].count == 2, inputs[1].count == 2 else {
      throw OperatorError("takes matrices, not shapes \(inputs[0]) and \(inputs[1])")
    }
    let a = transA ? inputs[0].reversed() : inputs[0]
    let b = transB ? inputs[1].reversed() : inputs[1]
    guard a[1] == b[0] else {
      throw OperatorError("\(a[1]) columns cannot be multiplied by \(b[0]) rows")
    }
    let shape = [a[0], b[1]]
    if inputs.count == 3 {
      let fits =
        inputs[2].count <= 2
        && zip(inputs[2].reversed(), shape.reversed()).allSatisfy { $0 == 1 || $0 == $1 }
      guard fits else { throw OperatorError("a bias of shape \(inputs[2]) does not fit \(shape)") }
    }
    try shape.checkedElementCount()
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    links.unite(.input(0, axis: transA ? 1 : 0), .output(0, axis: 0))
    links.unite(.input(0, axis: transA ? 0 : 1), .input(1, axis: weightInputAxis))
    links.unite(.input(1, axis: weightOutputAxis), .output(0, axis: 1))
    guard links.inputShapes.count == 3 else { return }
    let bias = links.inputShapes[2]
    for (axis, size) in bias.enumerated() {
      let outputAxis = axis + 2 - bias.count
      if size == links.outputShapes[0][outputAxis] {
        links.unite(.input(2, axis: axis), .output(0, axis: outputAxis))
      } else {
        links.freeze(.input(2, axis: axis), "its single index is broadcast")
      }
    }
  }

  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (outputs[0] + [inputs[1][weightInputAxis]]).boundedProduct
  }

  package func role(ofInput index: Int) -> ParameterRole? { index == 2 ? .bias : .weight }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    var y = [Float](repeating: 0, count: shape.product)
    for i in 0..<shape[0] {
      for j in 0..<shape[1] {
        var sum = 0.0
        for k in 0..<inputs[1].shape[weightInputAxis] {
          sum +=
            Double(inputs[0].floats[a(i, k, inputs)]) * Double(inputs[1].floats[b(k, j, inputs)])
        }
        sum *= Double(alpha)
        if inputs.count == 3 { sum += Double(beta) * Double(inputs[2].floats[c(i, j, inputs)]) }
        y[i * shape[1] + j] = Float(sum)
      }
    }
    return [Tensor(shape: shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let (shape, dy) = (outputs[0].shape, cotangents[0].floats)
    var sums = inputs.map { [Double](repeating: 0, count: $0.count) }
    for i in 0..<shape[0] {
      for j in 0..<shape[1] {
        let slope = Double(dy[i * shape[1] + j])
        for k in 0..<inputs[1].shape[weightInputAxis] {
          let (p, q) = (a(i, k, inputs), b(k, j, inputs))
          sums[0][p] += slope * Double(alpha) * Double(inputs[1].floats[q])
          sums[1][q] += slope * Double(alpha) * Double(inputs[0].floats[p])
        }
        if inputs.count == 3 { sums[2][c(i, j, inputs)] += slope * Double(beta) }
      }
    }
    return zip(inputs, sums).map { Tensor(shape: $0.shape, floats: $1.map(Float.init)) }
  }

  private func a(_ i: Int, _ k: Int, _ inputs: [Tensor]) -> Int {
    transA ? k * inputs[0].shape[1] + i : i * inputs[0].shape[1] + k
  }

  private func b(_ k: Int, _ j: Int, _ inputs: [Tensor]) -> Int {
    transB ? j * inputs[1].shape[1] + k : k * inputs[1].shape[1] + j
  }

  private func c(_ i: Int, _ j: Int, _ inputs: [Tensor]) -> Int {
    let shape = [Int](repeating: 1, count: 2 - inputs[2].shape.count) + inputs[2].shape
    return (shape[0] == 1 ? 0 : i) * shape[1] + (shape[1] == 1 ? 0 : j)
  }
}

// MARK: Kronecker factors
extension Gemm: PositionMajorOperator {
  package var weightOutputAxis: Int { transB ? 0 : 1 }
  package var weightInputAxis: Int { transB ? 1 : 0 }
  package var weightFactor: Float { alpha }
  package var biasFactor: Float { beta }

  package func affineShape(_ inputs: [[Int]]) -> AffineShape? {
    // Weights that count 0 times compute nothing.
    guard !transA, alpha != 0, inputs.count == 2 || inputs[2] == [inputs[1][weightOutputAxis]]
    else {
      return nil
    }
    return AffineShape(
      groups: 1, inputs: inputs[1][weightInputAxis], outputs: inputs[1][weightOutputAxis],
      positions: 1)
  }
}

// MARK: Lowering
extension Gemm: Lowerable {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    let outputs = plan.shape(y)[1]
    let isInnerProduct =
      plan.isConstant(w) && !plan.isConstant(x) && !transA && alpha == 1
      && (bias.map { plan.isConstant($0) && beta == 1 && plan.shape($0) == [outputs] } ?? true)
    guard isInnerProduct else { return try PlainLowering.lower(node, into: plan) }
    return try plan.lowerInnerProduct(
      input: x, weight: w, bias: bias, output: y, transposed: !transB, label: name)
  }
}
