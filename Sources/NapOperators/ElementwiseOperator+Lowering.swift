package import NapEngine
import NapGraph
import NapKernels

/// An elementwise operator that oneDNN computes.
package protocol KernelElementwiseOperator: ElementwiseOperator, ActivationOperator, Lowerable {}

extension KernelElementwiseOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    guard let activation else { return try PlainLowering.lower(node, into: plan) }
    let (x, y) = (node.inputs[0], node.outputs[0])
    // Blocks are filled up with zeros, which have to stay zeros.
    let keepsZeros = activation.limits.map { $0.lower <= 0 && $0.upper >= 0 } ?? true
    let source = try keepsZeros ? plan.activation(x) : plan.dense(plan.buffer(x))
    let layout = plan.layout(source)
    let output = plan.define(y, layout)
    if let limits = activation.limits {
      plan.runLimited(name, [source], limits, into: output)
    } else {
      plan.run(
        try .activationForward(activation, data: layout), name,
        [(.source, source), (.destination, output)])
    }
    if !activation.keepsNaN {
      plan.run("\(name) of NaN", touching: [source, output]) { memory in
        keepNaN(layout.scalar, count: layout.count, of: memory[source], in: memory[output])
      }
    }
    return {
      guard plan.needsGradient(x), let gradient = try plan.gradient(y, as: layout) else { return }
      let result = plan.makeBuffer(layout)
      if activation == .relu(slope: 0) {
        plan.runMaskedAdd("Relu gradient", [gradient], mask: output, into: result)
      } else {
        plan.run(
          try .activationBackward(activation, data: layout, gradient: layout), "\(name) gradient",
          [(.source, source), (.destinationGradient, gradient), (.sourceGradient, result)])
      }
      plan.contribute(result, to: x)
    }
  }
}

extension PlanBuilder {
  /// Appends `result = min(upper, max(lower, Σ terms))` for one or two terms, all in one layout.
  func runLimited(
    _ label: String, _ terms: [BufferID], _ limits: (lower: Float, upper: Float),
    into result: BufferID
  ) {
    let layout = layout(result)
    let (first, second) = (terms[0], terms.dropFirst().first)
    run(label, touching: terms + [result], output: result) { memory in
      limitedSum(
        layout.scalar, count: layout.count, memory[first],
        second.map { UnsafeRawPointer(memory[$0]) }, lower: limits.lower, upper: limits.upper,
        into: memory[result])
    }
  }

  /// Appends `result = mask > 0 ? Σ terms : 0` for one or two terms, all in one layout.
  func runMaskedAdd(_ label: String, _ terms: [BufferID], mask: BufferID, into result: BufferID) {
    let layout = layout(mask)
    let (first, second) = (terms[0], terms.dropFirst().first)
    run(label, touching: terms + [mask, result]) { memory in
      maskedAdd(
        layout.scalar, count: layout.count, memory[first],
        second.map { UnsafeRawPointer(memory[$0]) },
        mask: memory[mask], into: memory[result])
    }
  }
}
