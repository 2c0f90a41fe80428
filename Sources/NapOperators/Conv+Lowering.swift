package import NapEngine
import NapGraph
import NapKernels

extension Conv: Lowerable {
  package func fusesRelu(in mode: PlanMode) -> Bool { mode == .inference }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    guard plan.isConstant(w), bias.map(plan.isConstant) ?? true else {
      throw PlanError("a convolution with computed weights is not supported")
    }
    let values = Values(x: x, w: w, bias: bias, y: y)
    if let winograd = winograd(.forward, values, plan) {
      runForward(winograd, values, relu: node.relu, try source(winograd, x, plan), plan)
    } else {
      try runForward(values, relu: node.relu, plan)
    }
    return {
      if plan.trains(w) || (bias.map(plan.trains) ?? false) {
        if let winograd = winograd(.weightGradient, values, plan) {
          try runWeightGradient(winograd, values, plan)
        } else {
          try runWeightGradient(values, plan)
        }
      }
      guard plan.needsGradient(x) else { return }
      if let winograd = winograd(.inputGradient, values, plan) {
        try runInputGradient(winograd, values, plan)
      } else {
        try runInputGradient(values, plan)
      }
    }
  }

  private struct Values {
    let x: ValueID
    let w: ValueID
    let bias: ValueID?
    let y: ValueID
  }
}

// MARK: oneDNN
extension Conv {
  private func any(_ shape: [Int], _ plan: PlanBuilder) -> Layout {
    Layout(any: shape, plan.scalar)
  }

  private func geometry(_ values: Values, _ plan: PlanBuilder) -> WindowGeometry {
    window.geometry(Array(plan.shape(values.x).dropFirst(2)))
  }

  /// The weight with the groups as an axis of their own, as kernels want it.
  private func view(_ values: Values, _ plan: PlanBuilder) -> Layout {
    let shape = plan.shape(values.w)
    return Layout(dense: group == 1 ? shape : [group, shape[0] / group] + shape[1...])
  }

  private func runForward(_ values: Values, relu: Bool, _ plan: PlanBuilder) throws {
    let (x, y) = (values.x, values.y)
    let view = view(values, plan)
    let kernel = try PreparedKernel.convolutionForward(
      source: any(plan.shape(x), plan), weights: any(view.shape, plan),
      bias: values.bias.map { Layout(dense: plan.shape($0)) },
      destination: any(plan.shape(y), plan), window: geometry(values, plan),
      training: plan.mode != .inference, activation: relu ? .relu(slope: 0) : nil)
    let source = try plan.converted(plan.buffer(x), to: kernel.layout(.source))
    let weights = try plan.parameter(values.w, as: kernel.layout(.weights), through: view)
    let output = plan.define(y, kernel.layout(.destination))
    var arguments: [(KernelArgument, BufferID)] = [
      (.source, source), (.weights, weights), (.destination, output),
    ]
    if let bias = values.bias { arguments.append((.bias, plan.parameter(bias))) }
    plan.run(kernel, name, arguments)
  }

  private func runWeightGradient(_ values: Values, _ plan: PlanBuilder) throws {
    let (x, y) = (values.x, values.y)
    let view = view(values, plan)
    let biasLayout = values.bias.map { Layout(dense: plan.shape($0)) }
    let kernel = try PreparedKernel.convolutionBackwardWeights(
      source: any(plan.shape(x), plan), weightsGradient: Layout(any: view.shape, .float32),
      biasGradient: biasLayout, destinationGradient: any(plan.shape(y), plan),
      window: geometry(values, plan))
    guard let gradient = try plan.gradient(y, as: kernel.layout(.destinationGradient)) else {
      return
    }
    let source = try plan.converted(plan.buffer(x), to: kernel.layout(.source))
    try plan.receiveGradient(of: values.w, kernel.layout(.weightsGradient), through: view) {
      target in
      var arguments: [(KernelArgument, BufferID)] = [
        (.source, source), (.destinationGradient, gradient), (.weightsGradient, target),
      ]
      guard let bias = values.bias, let biasLayout else {
        return plan.run(kernel, "Conv weight gradient", arguments)
      }
      try plan.receiveGradient(of: bias, biasLayout) { target in
        arguments.append((.biasGradient, target))
        plan.run(kernel, "Conv weight gradient", arguments)
      }
    }
  }

  private func runInputGradient(_ values: Values, _ plan: PlanBuilder) throws {
    let view = view(values, plan)
    let kernel = try PreparedKernel.convolutionBackwardData(
      sourceGradient: any(plan.shape(values.x), plan), weights: any(view.shape, plan),
      destinationGradient: any(plan.shape(values.y), plan), window: geometry(values, plan))
    guard let gradient = try plan.gradient(values.y, as: kernel.layout(.destinationGradient)) else {
      return
    }
    let result = plan.makeBuffer(kernel.layout(.sourceGradient))
    plan.run(
      kernel, "Conv input gradient",
      [
        (.destinationGradient, gradient),
        (.weights, try plan.parameter(values.w, as: kernel.layout(.weights), through: view)),
        (.sourceGradient, result),
      ])
    plan.contribute(result, to: values.x)
  }
}

// MARK: Winograd's algorithm
extension Conv {
  private func winograd(_ pass: WinogradConvolution.Pass, _ values: Values, _ plan: PlanBuilder)
    -> WinogradConvolution?
  {
    guard window.kernel.count == 2 else { return nil }
    return WinogradConvolution(
      source: plan.shape(values.x), destination: plan.shape(values.y), groups: group,
      window: geometry(values, plan), scalar: plan.scalar, pass: pass)
  }

  private func source(_ winograd: WinogradConvolution, _ x: ValueID, _ plan: PlanBuilder) throws
    -> BufferID
  {
    try plan.converted(plan.buffer(x), to: Layout(blocked: winograd.source, plan.scalar))
  }

  private func scratch(
    _ winograd: WinogradConvolution, _ pass: WinogradConvolution.Pass, _ plan: PlanBuilder
  ) -> BufferID {
    plan.makeBuffer(Layout(dense: [winograd.scratchBytes(pass) / 4]))
  }

  private func weights(
    _ winograd: WinogradConvolution, _ values: Values, ofOpposite: Bool, _ plan: PlanBuilder
  ) -> BufferID {
    let plain = plan.parameter(values.w)
    let transformed = plan.makeFixedBuffer(Layout(dense: [winograd.weightsBytes / 4]))
    plan.prepare("prepare weights", touching: [plain, transformed]) { memory in
      winograd.transformWeights(
        memory.floats(plain), ofOpposite: ofOpposite, into: memory.floats(transformed))
    }
    return transformed
  }

  private func runForward(
    _ winograd: WinogradConvolution, _ values: Values, relu: Bool, _ source: BufferID,
    _ plan: PlanBuilder
  ) {
    let weights = weights(winograd, values, ofOpposite: false, plan)
    let bias = values.bias.map(plan.parameter)
    let scratch = scratch(winograd, .forward, plan)
    let output = plan.define(values.y, Layout(blocked: winograd.destination, plan.scalar))
    plan.run(
      name, touching: [source, weights, output, scratch] + (bias.map { [$0] } ?? []),
      kernel: "winograd"
    ) { memory in
      winograd.forward(
        memory[source], transformedWeights: memory.floats(weights), bias: bias.map(memory.floats),
        relu: relu, into: memory[output], scratch: memory[scratch])
    }
  }

  private func runWeightGradient(
    _ winograd: WinogradConvolution, _ values: Values, _ plan: PlanBuilder
  ) throws {
    let layout = Layout(blocked: winograd.destination, plan.scalar)
    guard let gradient = try plan.gradient(values.y, as: layout) else { return }
    let source = try source(winograd, values.x, plan)
    let scratch = scratch(winograd, .weightGradient, plan)
    func run(_ target: BufferID, _ bias: BufferID?) {
      plan.run(
        "Conv weight gradient",
        touching: [source, gradient, target, scratch] + (bias.map { [$0] } ?? []),
        kernel: "winograd"
      ) { memory in
        winograd.weightGradient(
          memory[source], outputGradient: memory[gradient], into: memory.floats(target),
          bias: bias.map(memory.floats), scratch: memory[scratch])
      }
    }
    try plan.receiveGradient(of: values.w, Layout(dense: plan.shape(values.w))) { target in
      guard let bias = values.bias else { return run(target, nil) }
      try plan.receiveGradient(of: bias, Layout(dense: plan.shape(bias))) { run(target, $0) }
    }
  }

  private func runInputGradient(
    _ winograd: WinogradConvolution, _ values: Values, _ plan: PlanBuilder
  ) throws {
    let opposite = winograd.opposite
    let layout = Layout(blocked: opposite.source, plan.scalar)
    guard let gradient = try plan.gradient(values.y, as: layout) else { return }
    let weights = weights(opposite, values, ofOpposite: true, plan)
    let scratch = scratch(opposite, .inputGradient, plan)
    let result = plan.makeBuffer(Layout(blocked: opposite.destination, plan.scalar))
    plan.run(
      "Conv input gradient", touching: [gradient, weights, result, scratch], kernel: "winograd"
    ) { memory in
      opposite.forward(
        memory[gradient], transformedWeights: memory.floats(weights), bias: nil, relu: false,
        into: memory[result], scratch: memory[scratch])
    }
    plan.contribute(result, to: values.x)
  }
}
