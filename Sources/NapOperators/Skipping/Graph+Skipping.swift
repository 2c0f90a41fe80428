import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

extension ThresholdedRelu: RewritingOperator {
  package static func rewritten(_ graph: Graph, shapes: [[Int]], in scalar: Scalar) -> Graph? {
    canSkipChannels && scalar == .float32 ? graph.skippingClosedChannels(shapes) : nil
  }
}

extension Greater: RewritingOperator {
  package static func rewritten(_ graph: Graph, shapes: [[Int]], in scalar: Scalar) -> Graph? {
    // No value is added, so that shapes stay.
    let branches = graph.skippingClosedBranches(shapes)
    return ThresholdedRelu.rewritten(branches ?? graph, shapes: shapes, in: scalar) ?? branches
  }
}

extension Graph {
  /// The network in which what gates close is left out, not multiplied by 0.
  ///
  /// - Parameter shapes: of all values.
  /// - Returns: `nil` where there is nothing to leave out.
  package func skippingClosedChannels(_ shapes: [[Int]]) -> Graph? {
    let layers = GatedLayers(self, shapes: shapes)
    guard !layers.gates.isEmpty else { return nil }
    var rewriting = SkippingRewriting(self, shapes, layers)
    return rewriting.result()
  }
}

/// Replaces gates and gated convolutions by operators that know of each other.
private struct SkippingRewriting {
  private let graph: Graph
  private let shapes: [[Int]]
  private let layers: GatedLayers
  private let readers: [[Int]]
  private let given: Set<ValueID>
  private var output: Graph
  /// What stands where a node was; nothing where another node takes its work over.
  private var replacements: [Int: Node?] = [:]
  /// By value of images.
  private var means: [ValueID: ValueID] = [:]

  init(_ graph: Graph, _ shapes: [[Int]], _ layers: GatedLayers) {
    (self.graph, self.shapes, self.layers, output) = (graph, shapes, layers, graph)
    readers = graph.consumers
    given = Set(graph.outputs.map(\.value))
  }

  mutating func result() -> Graph? {
    // Of a gate whose input is no image in two dimensions everything stays as it is.
    let decisions = layers.gates.map { gate in
      shapes[gate.input.index].count == 4
        ? output.addValue("\(graph.nodes[gate.product].name)/open") : nil
    }
    for layer in layers.layers where shapes[graph.nodes[layer.node].inputs[0].index].count == 4 {
      replace(layer, decisions)
    }
    guard !replacements.isEmpty else { return nil }
    for layer in shortcuts() { replace(layer, decisions) }
    // Several products may have one decision.
    var added: [Int: [Node]] = [:]
    for (gate, decision) in zip(layers.gates, decisions) {
      guard let decision, let place = gate.nodes.last else { continue }
      added[place, default: []].append(node(of: gate, decision))
    }
    output.nodes = graph.nodes.indices.flatMap { index -> [Node] in
      let own = replacements[index].map { $0.map { [$0] } ?? [] } ?? [graph.nodes[index]]
      return own + added[index, default: []]
    }
    return output.withoutDeadNodes()
  }

  /// Convolutions without gates that are added to what is replaced: as part of it they need not be reordered.
  private func shortcuts() -> [GatedLayers.Layer] {
    let producers = graph.producers
    let added = replacements.values.compactMap { $0 }.flatMap { node -> [ValueID] in
      guard let op = node.op as? SkippingConvolution, op.operands.last == .residual else {
        return []
      }
      return node.inputs.suffix(1)
    }
    return Set(added).compactMap { value in
      var value = value
      while let place = producers[value.index], follower(of: value) != nil,
        replacements[place] == nil
      {
        let node = graph.nodes[place]
        if let conv = node.op as? Conv {
          return conv.group == 1 ? GatedLayers.Layer(node: place) : nil
        }
        guard node.op is any FoldableNormalization else { break }
        value = node.inputs[0]
      }
      return nil
    }.sorted { $0.node < $1.node }
  }

  private mutating func node(of gate: ChannelGate, _ decision: ValueID) -> Node {
    let layers = [gate.hidden, gate.units].map { parameters(of: $0) }
    return Node(
      name: graph.nodes[gate.threshold].name,
      op: GateDecision(
        threshold: gate.alpha, range: gate.range, scales: gate.scales,
        unitOfChannel: gate.unitOfChannel, biases: layers.map { $0.bias != nil }),
      inputs: [means[gate.input] ?? gate.input]
        + layers.flatMap { [$0.weight] + [$0.bias].compactMap { $0 } },
      outputs: [decision])
  }

  /// A layer of a gate, with what follows.
  private mutating func parameters(of layer: ChannelGate.Layer) -> (
    weight: ValueID, bias: ValueID?
  ) {
    guard let index = layer.normalization, let weight = graph.constants[layer.weight],
      let (w, b) = folded(weight, layer.bias.flatMap { graph.constants[$0] }, into: index)
    else { return (layer.weight, layer.bias) }
    let name = graph.nodes[index].name
    return (output.addConstant("\(name)/weight", w), output.addConstant("\(name)/bias", b))
  }

  /// What follows a node, where nobody else reads it.
  private func follower(of value: ValueID) -> Int? {
    let all = readers[value.index]
    return all.count == 1 && !given.contains(value) ? all[0] : nil
  }

  private mutating func replace(_ layer: GatedLayers.Layer, _ decisions: [ValueID?]) {
    let convolution = graph.nodes[layer.node]
    guard let conv = convolution.op as? Conv, var weight = graph.constants[convolution.inputs[1]],
      convolution.inputs.dropFirst().allSatisfy({ graph.constants[$0] != nil })
    else { return }
    var bias = convolution.inputs.dropFirst(2).first.flatMap { graph.constants[$0] }
    var range = SkippingConvolution.Limits()
    var absorbed = [layer.node]
    var value = convolution.outputs[0]
    var isPlain = true
    while let next = follower(of: value), isPlain || limits(next) != nil {
      if isPlain, let (w, b) = folded(weight, bias, into: next) {
        (weight, bias) = (w, b)
      } else if let own = limits(next) {
        (range, isPlain) = (range.then(own), false)
      } else {
        break
      }
      absorbed.append(next)
      value = graph.nodes[next].outputs[0]
    }
    var operands: [(SkippingConvolution.Operand, ValueID)] = []
    if let bias { operands.append((.bias, output.addConstant("\(convolution.name)/bias", bias))) }
    let input = layer.input.flatMap { decisions[$0] }
    if let input { operands.append((.inputGates, input)) }
    var last = SkippingConvolution.Limits()
    if let gate = layer.output, let decision = decisions[gate], value == layers.gates[gate].features
    {
      operands.append((.outputGates, decision))
      absorbed.append(layers.gates[gate].product)
      value = graph.nodes[layers.gates[gate].product].outputs[0]
    } else if input == nil, layer.output != nil || layer.input != nil {
      return
    }
    if let next = follower(of: value), replacements[next] == nil,
      let other = residual(next, beside: value)
    {
      operands.append((.residual, other))
      absorbed.append(next)
      value = graph.nodes[next].outputs[0]
      while let next = follower(of: value), let own = limits(next) {
        last = last.then(own)
        absorbed.append(next)
        value = graph.nodes[next].outputs[0]
      }
    }
    // Another layer may have taken the sum over already.
    guard absorbed.allSatisfy({ replacements[$0] == nil }), let place = absorbed.last else {
      return
    }
    for index in absorbed { replacements[index] = .some(nil) }
    let mean = output.addValue("\(convolution.name)/means")
    means[value] = mean
    replacements[place] = Node(
      name: convolution.name,
      op: SkippingConvolution(
        window: conv.window, operands: operands.map(\.0), range: range, last: last),
      inputs: [convolution.inputs[0], output.addConstant("\(convolution.name)/weight", weight)]
        + operands.map(\.1), outputs: [value, mean])
  }

  /// The other operand of a residual sum.
  private func residual(_ index: Int, beside value: ValueID) -> ValueID? {
    let node = graph.nodes[index]
    guard node.op is any ResidualOperator, let other = node.inputs.first(where: { $0 != value }),
      graph.constants[other] == nil, shapes[other.index] == shapes[value.index]
    else { return nil }
    return other
  }

  private func limits(_ index: Int) -> SkippingConvolution.Limits? {
    guard let activation = (graph.nodes[index].op as? any ActivationOperator)?.activation,
      let limits = activation.limits
    else { return nil }
    return .init(lower: limits.lower, upper: limits.upper)
  }

  /// Weight and bias of a normalization behind a convolution.
  private func folded(_ weight: Tensor, _ bias: Tensor?, into index: Int) -> (Tensor, Tensor)? {
    let node = graph.nodes[index]
    guard let op = node.op as? any FoldableNormalization else { return nil }
    let parameters = node.inputs.dropFirst().compactMap { graph.constants[$0]?.floats }
    guard parameters.count == 4 else { return nil }
    let factors = zip(parameters[0], parameters[3]).map { $0 / ($1 + op.epsilon).squareRoot() }
    let size = weight.shape.dropFirst().product
    return (
      Tensor(
        shape: weight.shape, floats: weight.floats.enumerated().map { factors[$0 / size] * $1 }),
      Tensor(
        shape: [factors.count],
        floats: factors.indices.map {
          parameters[1][$0] + factors[$0] * ((bias?.floats[$0] ?? 0) - parameters[2][$0])
        })
    )
  }
}
