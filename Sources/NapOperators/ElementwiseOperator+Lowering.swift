package import NapEngine
import NapGraph
import NapKernels

/// An elementwise operator that oneDNN computes.
package protocol KernelElementwiseOperator: ElementwiseOperator, ActivationOperator, Lowerable {}

extension KernelElementwiseOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    guard let activation else { return try PlainLowering.lower(node, into: plan) }
    let (x, y) = (node.inputs[0], node.outputs[0])
    let source = try plan.activation(x)
    let layout = plan.layout(source)
    let output = plan.define(y, layout)
    plan.run(
      try .activationForward(activation, data: layout), name,
      [(.source, source), (.destination, output)])
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
  /// Appends `result = mask > 0 ? Σ terms : 0` for one or two terms, all in one layout.
  func runMaskedAdd(_ label: String, _ terms: [BufferID], mask: BufferID, into result: BufferID) {
    let layout = layout(mask)
    let count = layout.bytes / (layout.scalar == .bfloat16 ? 2 : 4)
    let (first, second) = (terms[0], terms.dropFirst().first)
    run(label, touching: terms + [mask, result]) { memory in
      maskedAdd(
        layout.scalar, count: count, memory[first], second.map { UnsafeRawPointer(memory[$0]) },
        mask: memory[mask], into: memory[result])
    }
  }
}
