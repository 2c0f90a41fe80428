package import NapEngine
import NapGraph
package import NapKernels
import NapTensor

extension Conv: FoldingOperator {
  package func fuses(_ activation: Activation, in mode: PlanMode, ofFinite: Bool) -> Bool {
    mode == .inference && activation.keepsNaN && ofFinite
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w) = (node.inputs[0], node.inputs[1])
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    guard plan.isConstant(w), bias.map(plan.isConstant) ?? true else {
      throw PlanError("a convolution with computed weights is not supported")
    }
    var values = Values(
      x: x, w: w, bias: bias, y: node.outputs[0], weights: plan.parameter(w),
      shift: bias.map(plan.parameter))
    if let (op, parameters) = node.normalization {
      (values.weights, values.shift) = plan.folded(
        values.weights, bias: values.shift, into: op, parameters.map(plan.parameter))
    }
    values.areAlike = areAlike(
      plan.parameters.pointer(w), outputs: plan.shape(w)[0],
      size: plan.shape(w).dropFirst().product)
    if values.areAlike, let winograd = winograd(.forward, values, plan),
      let range = Self.range(node.activation)
    {
      try runForward(winograd, values, residual: node.residual, range: range, plan)
    } else {
      try runForward(values, residual: node.residual, activation: node.activation, plan)
    }
    return { [values] in
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

  /// Activations that only limit numbers, as their limits.
  private static func range(_ activation: Activation?) -> ClosedRange<Float>? {
    guard let activation else { return -.infinity ... .infinity }
    guard let limits = activation.limits, limits.lower <= 0, limits.upper >= 0 else { return nil }
    return limits.lower...limits.upper
  }

  private struct Values {
    let x: ValueID
    let w: ValueID
    let bias: ValueID?
    let y: ValueID
    /// Dense weights and bias: the parameters, or what they are together with a normalization.
    var weights: BufferID
    var shift: BufferID?
    /// Whether Winograd's algorithm may compute outputs: by the weights that the plan is built with.
    var areAlike = true
  }
}

extension PlanBuilder {
  /// Weights `[outputs, …]` and bias of `normalization ∘ convolution`.
  fileprivate func folded(
    _ weights: BufferID, bias: BufferID?, into normalization: any FoldableNormalization,
    _ parameters: [BufferID]
  ) -> (weights: BufferID, bias: BufferID) {
    let shape = layout(weights).shape
    let result = (makeFixedBuffer(Layout(dense: shape)), makeFixedBuffer(Layout(dense: [shape[0]])))
    let (outputs, size, epsilon) = (shape[0], shape.dropFirst().product, normalization.epsilon)
    prepare(
      "fold normalization",
      touching: [weights, result.0, result.1] + parameters + (bias.map { [$0] } ?? [])
    ) { memory in
      let (w, old) = (memory.floats(weights), bias.map(memory.floats))
      let (scale, shift) = (memory.floats(parameters[0]), memory.floats(parameters[1]))
      let (mean, variance) = (memory.floats(parameters[2]), memory.floats(parameters[3]))
      for o in 0..<outputs {
        let factor = scale[o] / (variance[o] + epsilon).squareRoot()
        for i in o * size..<(o + 1) * size { memory.floats(result.0)[i] = factor * w[i] }
        memory.floats(result.1)[o] = shift[o] + factor * ((old?[o] ?? 0) - mean[o])
      }
    }
    return result
  }
}

extension Conv: RecomputingOperator {
  /// Products without patches whose results are much larger than what they are computed from.
  package func isWorthRecomputing(inputs: [[Int]], outputs: [[Int]]) -> Bool {
    group == 1 && window.kernel.allSatisfy { $0 == 1 }
      && outputs[0].product >= 2 * inputs[0].product
  }
}

extension Conv: PatchOperator {
  package func correlatesPatches(of input: [Int]) -> Bool {
    guard PatchCorrelation.isSupported, group == 1, input.count == 4, input[1] > 3 else {
      return false
    }
    let geometry = window.geometry(Array(input.dropFirst(2)))
    return geometry.kernel == [3, 3] && geometry.strides == [1, 1] && geometry.dilations == [1, 1]
      && geometry.padsBegin == [1, 1] && geometry.padsEnd == [1, 1]
  }
}

// MARK: oneDNN
extension Conv {
  private func any(_ shape: [Int], _ plan: PlanBuilder) -> Layout {
    Layout(any: shape, plan.scalar)
  }

  /// What kernels like to read and write.
  ///
  /// Left alone, they choose channels last for inference, which is slower as soon as the images do
  /// not fit the caches.
  private func images(_ shape: [Int], _ plan: PlanBuilder) -> Layout {
    let isLarge = plan.mode == .inference && shape.count == 4 && shape[0] >= 4 && shape[1] >= 16
    return isLarge ? Layout(preferred: shape, plan.scalar) ?? any(shape, plan) : any(shape, plan)
  }

  private func geometry(_ values: Values, _ plan: PlanBuilder) -> WindowGeometry {
    window.geometry(Array(plan.shape(values.x).dropFirst(2)))
  }

  /// The weight with the groups as an axis of their own, as kernels want it.
  private func view(_ values: Values, _ plan: PlanBuilder) -> Layout {
    let shape = plan.shape(values.w)
    return Layout(dense: group == 1 ? shape : [group, shape[0] / group] + shape[1...])
  }

  private func runForward(
    _ values: Values, residual: ValueID?, activation: Activation?, _ plan: PlanBuilder
  ) throws {
    let (x, y) = (values.x, values.y)
    let view = view(values, plan)
    func kernel(_ destination: Layout, sum: Bool, _ activation: Activation?) throws
      -> PreparedKernel
    {
      try .convolutionForward(
        source: images(plan.shape(x), plan), weights: any(view.shape, plan),
        bias: values.shift.map(plan.layout), destination: destination,
        window: geometry(values, plan), training: plan.mode != .inference,
        isExact: !values.areAlike, sum: sum, activation: activation)
    }
    var prepared = try kernel(
      images(plan.shape(y), plan), sum: false, residual == nil ? activation : nil)
    let layout = prepared.layout(.destination)
    // The sum is computed in the memory of the residual, where nobody else needs that.
    let target = residual.flatMap { $0 == x ? nil : plan.reusable($0) }
      .flatMap { plan.layout($0) == layout ? $0 : nil }
    if target != nil { prepared = try kernel(layout, sum: true, activation) }
    func compute(_ label: String, _ kernel: PreparedKernel, into makeOutput: () -> BufferID) throws
      -> BufferID
    {
      let source = try plan.converted(plan.read(x), to: kernel.layout(.source))
      let weights = try plan.prepared(values.weights, as: kernel.layout(.weights), through: view)
      let output = makeOutput()
      let bias: [(KernelArgument, BufferID)] = values.shift.map { [(.bias, $0)] } ?? []
      plan.run(
        kernel, label, bias + [(.source, source), (.weights, weights), (.destination, output)])
      return output
    }
    let output = try compute(name, prepared) {
      target.map(plan.takeOver) ?? plan.makeBuffer(layout)
    }
    plan.define(y, as: output)
    plan.offerRecomputation(of: y) {
      try compute("\(name) again", kernel(layout, sum: false, activation)) {
        plan.makeBuffer(layout)
      }
    }
    guard let residual, target == nil else { return }
    let range = Self.range(activation)
    let sum = plan.define(y, layout)
    let terms = [output, try plan.converted(plan.buffer(residual), to: layout)]
    plan.runLimited(
      "residual", terms, range.map { ($0.lowerBound, $0.upperBound) } ?? (-.infinity, .infinity),
      into: sum)
    guard let activation, range == nil else { return }
    plan.run(
      try .activationForward(activation, data: layout), "activation",
      [(.source, sum), (.destination, plan.define(y, layout))])
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
    let source = try plan.converted(plan.read(x), to: kernel.layout(.source))
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
        (.weights, try plan.prepared(values.weights, as: kernel.layout(.weights), through: view)),
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
    WinogradConvolution(
      source: plan.shape(values.x), destination: plan.shape(values.y), groups: group,
      window: geometry(values, plan), scalar: plan.scalar, pass: pass,
      // A batch leaves gradients far more uncertain than rounding does; what a network computes while
      // it is trained is what it learns to do.
      rounds: pass != .forward || plan.mode == .inference)
  }

  private func source(_ winograd: WinogradConvolution, _ x: ValueID, _ plan: PlanBuilder) throws
    -> BufferID
  {
    try plan.converted(plan.read(x), to: Layout(blocked: winograd.source, plan.scalar))
  }

  private func scratch(
    _ winograd: WinogradConvolution, _ pass: WinogradConvolution.Pass, _ plan: PlanBuilder
  ) -> BufferID {
    plan.makeBuffer(Layout(dense: [winograd.scratchBytes(pass) / 4]))
  }

  private func weights(
    _ winograd: WinogradConvolution, _ values: Values, ofOpposite: Bool, _ plan: PlanBuilder
  ) -> BufferID {
    let plain = values.weights
    let transformed = plan.makePreparedBuffer(Layout(dense: [winograd.weightsBytes / 4]))
    plan.prepare("prepare weights", touching: [plain, transformed]) { memory in
      winograd.transformWeights(
        memory.floats(plain), ofOpposite: ofOpposite, into: memory[transformed])
    }
    return transformed
  }

  private func runForward(
    _ winograd: WinogradConvolution, _ values: Values, residual: ValueID?,
    range: ClosedRange<Float>, _ plan: PlanBuilder
  ) throws {
    let source = try source(winograd, values.x, plan)
    let layout = Layout(blocked: winograd.destination, plan.scalar)
    let weights = weights(winograd, values, ofOpposite: false, plan)
    let added = try residual.map { try plan.converted(plan.buffer($0), to: layout) }
    let scratch = scratch(winograd, .forward, plan)
    let output = plan.define(values.y, layout)
    let shift = values.shift
    plan.run(
      name, touching: [source, weights, output, scratch] + [shift, added].compactMap { $0 },
      kernel: "winograd", output: output
    ) { memory in
      winograd.forward(
        memory[source], transformedWeights: memory[weights], bias: shift.map(memory.floats),
        adding: added.map { memory[$0] }, range: range, into: memory[output],
        scratch: memory[scratch])
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
        kernel: "winograd", output: target
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
      "Conv input gradient", touching: [gradient, weights, result, scratch], kernel: "winograd",
      output: result
    ) { memory in
      opposite.forward(
        memory[gradient], transformedWeights: memory[weights], into: memory[result],
        scratch: memory[scratch])
    }
    plan.contribute(result, to: values.x)
  }
}
