package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// A convolution with all that belongs to its gates, in inference plans: what is closed is neither computed nor
/// read. `y = last(residual + gate · range(conv(x)))`, where the ranges limit numbers.
///
/// - Shapes: inputs are `x [N, C, H, W]`, the weight, and those of `operands` in their order: bias `[O]`, gates of
///   the inputs `[N, C]` and of the outputs `[N, O]`, residual `[N, O, H, W]`. Outputs are `y` and its means over
///   positions, `[N, O]`.
package struct SkippingConvolution: Lowerable {
  package static let name = "SkippingConvolution"

  package enum Operand: Codable, Sendable { case bias, inputGates, outputGates, residual }

  package var window: Window
  package var operands: [Operand]
  package var range: Limits
  package var last: Limits

  package struct Limits: Codable, Sendable {
    package var lower = -Float.infinity
    package var upper = Float.infinity

    func limited(_ x: Float) -> Float { x < lower ? lower : x > upper ? upper : x }
    /// What is left of numbers when others limit them, too.
    func then(_ next: Limits) -> Limits {
      Limits(lower: next.limited(lower), upper: next.limited(upper))
    }
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("\(name) stands in no file")
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  private var conv: Conv { Conv(window: window) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    let y = try conv.infer(Array(inputs.prefix(2)))[0]
    return [y, Array(y.prefix(2))]
  }

  private func operand<Input>(_ operand: Operand, of inputs: [Input]) -> Input? {
    operands.firstIndex(of: operand).map { inputs[2 + $0] }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    var x = inputs[0]
    let positions = x.shape.dropFirst(2).product
    if let gates = operand(.inputGates, of: inputs) {
      x = Tensor(
        shape: x.shape,
        floats: x.floats.enumerated().map { gates.floats[$0 / positions] == 0 ? 0 : $1 })
    }
    let y = conv.forward([x, inputs[1]] + [operand(.bias, of: inputs)].compactMap { $0 })[0]
    let (gates, residual) = (
      operand(.outputGates, of: inputs), operand(.residual, of: inputs)
    )
    let size = y.shape.dropFirst(2).product
    let results = y.floats.enumerated().map { index, value in
      let gate = gates?.floats[index / size] ?? 1
      let gated = gate == 0 ? 0 : gate * range.limited(value)
      return last.limited((residual?.floats[index] ?? 0) + gated)
    }
    let means = (0..<y.shape[0] * y.shape[1]).map { row in
      Float(results[row * size..<(row + 1) * size].reduce(0.0) { $0 + Double($1) } / Double(size))
    }
    return [
      Tensor(shape: y.shape, floats: results),
      Tensor(shape: Array(y.shape.prefix(2)), floats: means),
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    inputs.map { _ in nil }
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    let kernel = SkippingKernel(
      source: plan.shape(x), destination: plan.shape(y),
      window: window.geometry(Array(plan.shape(x).dropFirst(2))),
      weightsAreAlike: areAlike(
        plan.parameters.pointer(w), outputs: plan.shape(w)[0],
        size: plan.shape(w).dropFirst().product))
    let source = try plan.converted(plan.buffer(x), to: Layout(eights: plan.shape(x)))
    let plain = plan.parameter(w)
    let weights = plan.makePreparedBuffer(Layout(dense: [kernel.weightsBytes / 4]))
    plan.prepare("prepare weights", touching: [plain, weights]) { memory in
      kernel.arrange(memory.floats(plain), into: memory.floats(weights))
    }
    let bias = operand(.bias, of: node.inputs).map(plan.parameter)
    func gates(_ which: Operand) throws -> BufferID? {
      try operand(which, of: node.inputs).map { try plan.dense(plan.buffer($0)) }
    }
    let (inputGates, outputGates) = (try gates(.inputGates), try gates(.outputGates))
    let layout = Layout(eights: plan.shape(y))
    let residual = operand(.residual, of: node.inputs)
    // Closed channels are what they were where the sum is computed in the residual's memory.
    let reused = residual.flatMap { $0 == x ? nil : plan.reusable($0) }
      .flatMap { plan.layout($0) == layout ? $0 : nil }
    let added = try residual.map { try plan.converted(plan.buffer($0), to: layout) }
    let output = reused.map(plan.takeOver) ?? plan.makeBuffer(layout)
    plan.define(y, as: output)
    let means = plan.define(node.outputs[1], Layout(dense: Array(plan.shape(y).prefix(2))))
    let (range, last) = (range, last)
    plan.run(
      "Conv",
      touching: [source, weights, output, means]
        + [bias, inputGates, outputGates, added].compactMap { $0 },
      kernel: "skipping", output: output
    ) { memory in
      func floats(_ buffer: BufferID?) -> UnsafePointer<Float>? {
        buffer.map { UnsafePointer(memory.floats($0)) }
      }
      kernel.run(
        .init(
          x: memory.floats(source), weights: memory.floats(weights), bias: floats(bias),
          inputGates: floats(inputGates), outputGates: floats(outputGates),
          residual: reused == nil ? floats(added) : UnsafePointer(memory.floats(output)),
          range: range.lower...range.upper, lastRange: last.lower...last.upper,
          y: memory.floats(output), means: memory.floats(means)))
    }
    return {}
  }
}
