package import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// `y = scale · (x - mean) / √(variance + ε) + bias`, channel by channel, with running statistics.
///
/// A training plan uses the statistics of the batch instead and updates the running ones.
package struct BatchNormalization: FoldableNormalization {
  package static let name = "BatchNormalization"

  package var epsilon: Float
  /// The share of the old running statistics that an update keeps.
  package var momentum: Float

  package init(epsilon: Float = 1e-5, momentum: Float = 0.9) {
    self.epsilon = epsilon
    self.momentum = momentum
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard try node.int("training_mode", default: 0) == 0, node.outputCount <= 1 else {
      throw OperatorError(
        "it is in training mode", recovery: "export the model in evaluation mode")
    }
    guard try node.int("spatial", default: 1) == 1 else {
      throw OperatorError("attribute 'spatial' is 0, which is not supported")
    }
    let epsilon = try node.float("epsilon", default: 1e-5)
    guard epsilon.isFinite, epsilon >= 0 else {
      throw OperatorError("attribute 'epsilon' is \(epsilon)")
    }
    let op = BatchNormalization(
      epsilon: epsilon, momentum: try node.float("momentum", default: 0.9))
    return try ImportedOperator(op, first: 5, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["epsilon": .float(epsilon), "momentum": .float(momentum)])
  }

  package func staysFinite(constants: [Tensor?]) -> Bool {
    constants[4]?.floats.allSatisfy { $0 + epsilon > 0 } == true
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 5)
    guard inputs[0].count >= 2 else {
      throw OperatorError("an input of shape \(inputs[0]) has no channels")
    }
    for shape in inputs.dropFirst() where shape != [inputs[0][1]] {
      throw OperatorError("parameters of shape \(shape) do not fit \(inputs[0][1]) channels")
    }
    return [inputs[0]]
  }

  package func link(_ links: inout IndexLinks) {
    links.uniteAxes()
    for input in 1...4 { links.unite(.input(input, axis: 0), .input(0, axis: 1)) }
  }

  package func role(ofInput index: Int) -> ParameterRole? {
    switch index {
    case 1: .scale
    case 2: .bias
    case 3, 4: .statistic
    default: nil
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    let y = x.floats.indices.map { i in
      let c = channel(of: i, x.shape)
      return Float(
        Double(inputs[1].floats[c]) * standardized(inputs, i, c) + Double(inputs[2].floats[c]))
    }
    return [Tensor(shape: x.shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let (x, dy) = (inputs[0], cotangents[0].floats)
    var dx = [Float](repeating: 0, count: x.count)
    var dScale = [Double](repeating: 0, count: x.shape[1])
    var dBias = dScale
    for i in x.floats.indices {
      let c = channel(of: i, x.shape)
      let deviation = (Double(inputs[4].floats[c]) + Double(epsilon)).squareRoot()
      dx[i] = Float(Double(dy[i]) * Double(inputs[1].floats[c]) / deviation)
      dScale[c] += Double(dy[i]) * standardized(inputs, i, c)
      dBias[c] += Double(dy[i])
    }
    let channels = [x.shape[1]]
    return [
      Tensor(shape: x.shape, floats: dx), Tensor(shape: channels, floats: dScale.map(Float.init)),
      Tensor(shape: channels, floats: dBias.map(Float.init)), nil, nil,
    ]
  }

  private func channel(of element: Int, _ shape: [Int]) -> Int {
    element / shape.dropFirst(2).product % shape[1]
  }

  private func standardized(_ inputs: [Tensor], _ i: Int, _ c: Int) -> Double {
    let (mean, variance) = (Double(inputs[3].floats[c]), Double(inputs[4].floats[c]))
    return (Double(inputs[0].floats[i]) - mean) / (variance + Double(epsilon)).squareRoot()
  }
}

// MARK: Lowering

extension BatchNormalization: FusingOperator, RecomputingOperator {
  package func isWorthRecomputing(inputs: [[Int]], outputs: [[Int]]) -> Bool { true }

  package func fuses(_ activation: Activation, in mode: PlanMode, ofFinite: Bool) -> Bool {
    activation == .relu(slope: 0) && (mode != .inference || ofFinite)
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    guard node.inputs[1...].allSatisfy(plan.isConstant) else {
      throw PlanError("a batch normalization with computed parameters is not supported")
    }
    let (x, y) = (node.inputs[0], node.outputs[0])
    let source = try plan.activation(x)
    let layout = plan.layout(source)
    let usesBatch = plan.mode == .training
    let kernel = try PreparedKernel.normalizationForward(
      data: layout, epsilon: epsilon, globalStatistics: !usesBatch,
      training: plan.mode != .inference, relu: node.activation != nil)
    let (scale, shift) = (plan.parameter(node.inputs[1]), plan.parameter(node.inputs[2]))
    let running = [plan.parameter(node.inputs[3]), plan.parameter(node.inputs[4])]
    let channels = plan.layout(scale)
    let statistics = usesBatch ? [plan.makeBuffer(channels), plan.makeBuffer(channels)] : running
    let output = plan.define(y, layout)
    let constants: [(KernelArgument, BufferID)] = [
      (.scale, scale), (.shift, shift), (.mean, statistics[0]), (.variance, statistics[1]),
    ]
    var shared = constants
    let workspaceLayout = kernel.layout(.workspace)
    if workspaceLayout.bytes > 0 { shared.append((.workspace, plan.makeBuffer(workspaceLayout))) }
    let label = node.activation != nil ? "\(name)+Relu" : name
    plan.run(kernel, label, shared + [(.source, source), (.destination, output)])
    if usesBatch { updateRunning(running, from: statistics, shape: plan.shape(x), in: plan) }
    plan.offerRecomputation(of: y) { [epsilon] in
      let kernel = try PreparedKernel.normalizationForward(
        data: layout, epsilon: epsilon, globalStatistics: true, training: false,
        relu: node.activation != nil)
      let output = plan.makeBuffer(layout)
      plan.run(
        kernel, "\(label) again",
        constants + [(.source, try plan.activation(x)), (.destination, output)])
      return output
    }

    return {
      let trained = node.inputs[1...2].contains(where: plan.trains)
      guard trained || plan.needsGradient(x), let gradient = try plan.gradient(y, as: layout) else {
        return
      }
      let kernel = try PreparedKernel.normalizationBackward(
        data: layout, gradient: layout, epsilon: epsilon, globalStatistics: !usesBatch,
        relu: node.activation != nil)
      let source = try plan.activation(x)
      let result = plan.makeBuffer(layout)
      func run(_ scaleGradient: BufferID, _ shiftGradient: BufferID) {
        plan.run(
          kernel, "\(name) gradient",
          shared + [
            (.source, source), (.destinationGradient, gradient), (.sourceGradient, result),
            (.scaleGradient, scaleGradient), (.shiftGradient, shiftGradient),
          ])
      }
      if trained {
        try plan.receiveGradient(of: node.inputs[1], channels) { scaleGradient in
          try plan.receiveGradient(of: node.inputs[2], channels) { run(scaleGradient, $0) }
        }
      } else {
        run(plan.makeBuffer(channels), plan.makeBuffer(channels))
      }
      if plan.needsGradient(x) { plan.contribute(result, to: x) }
    }
  }

  /// `running ← momentum · running + (1 - momentum) · batch`, with the unbiased variance.
  private func updateRunning(
    _ running: [BufferID], from batch: [BufferID], shape: [Int], in plan: PlanBuilder
  ) {
    let channels = shape[1]
    let count = Float(shape.product / max(1, channels))
    let unbiased = count > 1 ? count / (count - 1) : 1
    let (own, update) = (momentum, plan.statisticsUpdate)
    plan.run("running statistics", touching: running + batch) { memory in
      let momentum = update.momentum ?? own
      for (index, factor) in [(0, Float(1)), (1, unbiased)] {
        let (old, new) = (memory.floats(running[index]), memory.floats(batch[index]))
        for c in 0..<channels {
          old[c] = momentum * old[c] + (1 - momentum) * factor * new[c]
        }
      }
    }
  }
}
