package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// All of a `ChannelGate` at once, in inference plans: a number for every channel, 0 where it is closed.
///
/// - Shapes: `x [N, C, H, W]`, or its means `[N, C]`; then weight and bias of either layer; `gates [N, O]`.
package struct GateDecision: Lowerable {
  package static let name = "GateDecision"

  package var threshold: Float
  /// Saliencies are limited to this.
  package var range: ClosedRange<Float>
  /// Whether open channels have their saliency, not 1.
  package var scales: Bool
  package var unitOfChannel: [Int]
  /// Whether the layers have biases.
  package var biases: [Bool]

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("\(name) stands in no file")
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    [[inputs[0][0], unitOfChannel.count]]
  }

  /// Weights and biases out of the inputs.
  private func layers<Input>(_ inputs: [Input]) -> [(weight: Input, bias: Input?)] {
    var rest = inputs.dropFirst()
    return biases.map { hasBias in
      let weight = rest.removeFirst()
      return (weight, hasBias ? rest.removeFirst() : nil)
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inputs[0].shape
    let (n, positions) = (shape[0], shape.dropFirst(2).product)
    var values = (0..<n * shape[1]).map { row -> Double in
      (0..<positions).reduce(0.0) { $0 + Double(inputs[0].floats[row * positions + $1]) }
        / Double(positions)
    }
    for (layer, (weight, bias)) in layers(inputs).enumerated() {
      let (outputs, size) = (weight.shape[0], weight.shape[1])
      values = (0..<n * outputs).map { index in
        let (row, o) = index.quotientAndRemainder(dividingBy: outputs)
        let sum = (0..<size).reduce(Double(bias?.floats[o] ?? 0)) {
          $0 + Double(weight.floats[o * size + $1]) * values[row * size + $1]
        }
        return layer == 0 && sum < 0 ? 0 : sum
      }
    }
    let units = values.count / max(1, n)
    let gates = (0..<n).flatMap { row in
      unitOfChannel.map { unit -> Float in
        let value = Float(values[row * units + unit])
        if value.isNaN { return scales ? value : 0 }
        let limited = min(max(value, range.lowerBound), range.upperBound)
        return limited > threshold ? (scales ? limited : 1) : 0
      }
    }
    return [Tensor(shape: [n, unitOfChannel.count], floats: gates)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    inputs.map { _ in nil }
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let shape = plan.shape(node.inputs[0])
    let (n, inputs) = (shape[0], shape[1])
    let layers = layers(node.inputs)
    let sizes = layers.map { plan.shape($0.weight)[0] }
    let weights = zip(layers, [inputs, sizes[0]]).map { layer, width in
      Self.transposed(layer.weight, width, plan)
    }
    let biases = layers.map { $0.bias.map(plan.parameter) }
    let means: BufferID
    if shape.count > 2 {
      let images = try plan.converted(plan.buffer(node.inputs[0]), to: Layout(eights: shape))
      means = plan.makeBuffer(Layout(dense: [n, inputs]))
      plan.run("means", touching: [images, means]) { memory in
        channelMeans(
          memory.floats(images), n: n, channels: inputs, positions: shape.dropFirst(2).product,
          into: memory.floats(means))
      }
    } else {
      means = try plan.dense(plan.buffer(node.inputs[0]))
    }
    let gates = plan.define(node.outputs[0], Layout(dense: [n, unitOfChannel.count]))
    let scratch = plan.makeBuffer(Layout(dense: [sizes[0] + sizes[1]]))
    let units = unitOfChannel.map(Int32.init)
    plan.run(
      "gate", touching: [means, gates, scratch] + weights + biases.compactMap { $0 },
      kernel: "gate",
      output: gates
    ) { memory in
      runGate(
        means: memory.floats(means), (n, inputs, sizes[0], sizes[1]), w1: memory.floats(weights[0]),
        b1: biases[0].map(memory.floats), w2: memory.floats(weights[1]),
        b2: biases[1].map(memory.floats), range: range, threshold: threshold, scales: scales,
        unitOfChannel: units, into: memory.floats(gates), scratch: memory.floats(scratch))
    }
    return {}
  }

  /// A weight `[outputs, inputs, …]` as `[inputs, outputs]`.
  private static func transposed(_ weight: ValueID, _ inputs: Int, _ plan: PlanBuilder) -> BufferID
  {
    let (plain, outputs) = (plan.parameter(weight), plan.shape(weight)[0])
    let result = plan.makePreparedBuffer(Layout(dense: [inputs, outputs]))
    plan.prepare("transpose weights", touching: [plain, result]) { memory in
      for o in 0..<outputs {
        for i in 0..<inputs {
          memory.floats(result)[i * outputs + o] = memory.floats(plain)[o * inputs + i]
        }
      }
    }
    return result
  }
}
