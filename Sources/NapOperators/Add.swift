package import NapEngine
package import NapGraph
package import NapKernels

/// The sum of two tensors.
package struct Add: BroadcastingOperator, ResidualOperator, FusingOperator {
  package static let name = "Add"
  package static let operandRole: ParameterRole? = .bias

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a + b }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a &+ b }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (1, 1) }
}

extension Add {
  package func fuses(_ activation: Activation, in mode: PlanMode, ofFinite: Bool) -> Bool {
    activation == .relu(slope: 0)
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (a, b, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    let isResidual = plan.shape(a) == plan.shape(b) && !plan.isConstant(a) && !plan.isConstant(b)
    guard isResidual else { return try lowerGeneral(node, into: plan) }
    let first = try plan.activation(a)
    let second = try plan.activation(b)
    // The side that is blocked already decides: the other is often a dense shortcut.
    let dense = Layout(dense: plan.shape(a), plan.scalar)
    let layout = plan.layout(first) == dense ? plan.layout(second) : plan.layout(first)
    let output = plan.define(y, layout)
    let terms = [try plan.converted(first, to: layout), try plan.converted(second, to: layout)]
    plan.runLimited(
      name, terms, node.activation?.limits ?? (-.infinity, .infinity), into: output)
    return {
      let operands = [a, b].filter(plan.needsGradient)
      guard !operands.isEmpty else { return }
      let gradient: BufferID
      if node.activation != nil {
        var terms = try plan.gradientTerms(y, as: layout)
        if terms.count > 2, let sum = try plan.gradient(y, as: layout) { terms = [sum] }
        guard !terms.isEmpty else { return }
        gradient = plan.makeBuffer(layout)
        plan.runMaskedAdd("Add+Relu gradient", terms, mask: output, into: gradient)
      } else {
        guard let sum = try plan.gradient(y, as: layout) else { return }
        gradient = sum
      }
      for operand in operands { plan.contribute(gradient, to: operand) }
    }
  }

  /// The general case; a fused `Relu` follows as a kernel of its own.
  private func lowerGeneral(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    guard node.activation != nil else { return try lowerBroadcast(node, into: plan) }
    let sum = plan.makeValue(like: node.outputs[0])
    var plain = node
    plain.activation = nil
    plain.outputs = [sum]
    let backward = try lowerBroadcast(plain, into: plan)
    let activation = try Relu().lower(
      PlanNode(
        index: node.index, name: node.name, op: Relu(), inputs: [sum], outputs: node.outputs),
      into: plan)
    return {
      try activation()
      try backward()
    }
  }
}
