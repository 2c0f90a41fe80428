package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// An operator that brings groups of neighbouring elements to mean 0 and variance 1, then scales and
/// shifts them: `y = scale · (x - mean) / √(variance + ε) + bias`.
///
/// Inputs: `x`, `scale` and, where there is one, `bias`.
package protocol NormalizationOperator: Lowerable {
  var epsilon: Float { get }
  /// Elements of one group; groups follow each other in memory.
  func groupSize(_ shape: [Int]) -> Int
  /// How parameters follow each other: element `i` has parameter `i / run % count`.
  func parameters(_ shape: [Int]) -> (count: Int, run: Int)
}

extension NormalizationOperator {
  package func staysFinite(constants: [Tensor?]) -> Bool { epsilon > 0 }

  package func role(ofInput index: Int) -> ParameterRole? {
    index == 1 ? .scale : index == 2 ? .bias : nil
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    let (count, run) = parameters(x.shape)
    var y = x.floats
    forEachGroup(x) { range, mean, deviation in
      for i in range {
        let standardized = (Double(x.floats[i]) - mean) / deviation
        let bias = inputs.count > 2 ? Double(inputs[2].floats[i / run % count]) : 0
        y[i] = Float(standardized * Double(inputs[1].floats[i / run % count]) + bias)
      }
    }
    return [Tensor(shape: x.shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let (x, dy) = (inputs[0], cotangents[0].floats)
    let (count, run) = parameters(x.shape)
    var dx = [Float](repeating: 0, count: x.count)
    var sums = inputs.dropFirst().map { [Double](repeating: 0, count: $0.count) }
    forEachGroup(x) { range, mean, deviation in
      let z = range.map { (Double(x.floats[$0]) - mean) / deviation }
      let g = range.map { Double(dy[$0]) * Double(inputs[1].floats[$0 / run % count]) }
      let meanG = g.reduce(0, +) / Double(g.count)
      let meanGZ = zip(g, z).reduce(0) { $0 + $1.0 * $1.1 } / Double(g.count)
      for (k, i) in range.enumerated() {
        dx[i] = Float((g[k] - meanG - z[k] * meanGZ) / deviation)
        sums[0][i / run % count] += Double(dy[i]) * z[k]
        if sums.count > 1 { sums[1][i / run % count] += Double(dy[i]) }
      }
    }
    let rest = zip(inputs.dropFirst(), sums).map {
      Tensor(shape: $0.shape, floats: $1.map(Float.init))
    }
    return [Tensor(shape: x.shape, floats: dx)] + rest
  }

  private func forEachGroup(
    _ x: Tensor, _ body: (_ range: Range<Int>, _ mean: Double, _ deviation: Double) -> Void
  ) {
    let size = groupSize(x.shape)
    guard size > 0 else { return }
    for start in stride(from: 0, to: x.count, by: size) {
      let values = x.floats[start..<start + size]
      let mean = values.reduce(0) { $0 + Double($1) } / Double(size)
      let variance =
        values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(size)
      body(start..<start + size, mean, (variance + Double(epsilon)).squareRoot())
    }
  }
}

// MARK: Lowering
extension NormalizationOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    guard node.inputs.dropFirst().allSatisfy(plan.isConstant) else {
      return try PlainLowering.lower(node, into: plan)
    }
    let (x, y) = (node.inputs[0], node.outputs[0])
    let shape = plan.shape(x)
    let size = groupSize(shape)
    let groups = shape.product / max(1, size)
    let (count, run) = parameters(shape)
    let epsilon = epsilon
    let source = try plan.dense(plan.buffer(x))
    let scale = plan.parameter(node.inputs[1])
    let shift = node.inputs.count > 2 ? plan.parameter(node.inputs[2]) : nil
    let output = plan.define(y, Layout(dense: shape))
    /// Mean and inverse deviation of every group.
    let statistics = plan.makeBuffer(Layout(dense: [groups, 2]))
    plan.run(name, touching: [source, output, scale, statistics] + (shift.map { [$0] } ?? [])) {
      memory in
      let (x, y, scale) = (memory.floats(source), memory.floats(output), memory.floats(scale))
      let (shift, statistics) = (shift.map(memory.floats), memory.floats(statistics))
      parallel { part, parts in
        for group in groups * part / parts..<groups * (part + 1) / parts {
          let (x, y) = (x + group * size, y + group * size)
          let exact = sum(x, count: size) / Double(size)
          let variance = sumOfSquares(x, around: exact, count: size) / Double(size)
          let mean = Float(exact)
          let inverse = Float(1 / (variance + Double(epsilon)).squareRoot())
          statistics[2 * group] = mean
          statistics[2 * group + 1] = inverse
          forEachRun(group * size, size, run, count) { range, c in
            let (a, b) = (scale[c] * inverse, shift?[c] ?? 0)
            for i in range { y[i] = (x[i] - mean) * a + b }
          }
        }
      }
    }
    return {
      guard let gradient = try plan.gradient(y).map(plan.dense) else { return }
      if plan.needsGradient(x) {
        let result = plan.makeBuffer(Layout(dense: shape))
        plan.run("\(name) gradient", touching: [source, scale, statistics, gradient, result]) {
          memory in
          let (x, dy, dx) = (memory.floats(source), memory.floats(gradient), memory.floats(result))
          let (scale, statistics) = (memory.floats(scale), memory.floats(statistics))
          parallel { part, parts in
            for group in groups * part / parts..<groups * (part + 1) / parts {
              let (x, dy, dx) = (x + group * size, dy + group * size, dx + group * size)
              let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1])
              var (sum, product) = (0.0, 0.0)
              forEachRun(group * size, size, run, count) { range, c in
                for i in range {
                  let g = Double(dy[i] * scale[c])
                  sum += g
                  product += g * Double(x[i] - mean)
                }
              }
              let meanG = Float(sum / Double(size))
              let meanGZ = Float(product * Double(inverse) / Double(size))
              forEachRun(group * size, size, run, count) { range, c in
                for i in range {
                  let z = (x[i] - mean) * inverse
                  dx[i] = (dy[i] * scale[c] - meanG - z * meanGZ) * inverse
                }
              }
            }
          }
        }
        plan.contribute(result, to: x)
      }
      for (index, value) in node.inputs.enumerated().dropFirst() where plan.trains(value) {
        try plan.receiveGradient(of: value, Layout(dense: plan.shape(value))) { target in
          plan.run("\(name) gradient", touching: [source, statistics, gradient, target]) { memory in
            let (x, dy, result) = (
              memory.floats(source), memory.floats(gradient), memory.floats(target)
            )
            let statistics = memory.floats(statistics)
            var sums = [Double](repeating: 0, count: count)
            for group in 0..<groups {
              let (x, dy) = (x + group * size, dy + group * size)
              let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1])
              forEachRun(group * size, size, run, count) { range, c in
                var sum = 0.0
                for i in range {
                  sum += Double(index == 1 ? dy[i] * (x[i] - mean) * inverse : dy[i])
                }
                sums[c] += sum
              }
            }
            for c in 0..<count { result[c] = Float(sums[c]) }
          }
        }
      }
    }
  }
}

/// Calls `body` with every range of a group's elements that shares a parameter.
private func forEachRun(
  _ start: Int, _ size: Int, _ run: Int, _ count: Int, _ body: (Range<Int>, Int) -> Void
) {
  var i = 0
  while i < size {
    let end = min(size, i + run - (start + i) % run)
    body(i..<end, (start + i) / run % count)
    i = end
  }
}
