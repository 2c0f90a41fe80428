package import NapGraph
import NapTensor

/// What decides for every example which channels are computed: a mean of every channel of `input`, two dense
/// layers with a ReLU between give a saliency of every unit of channels, and those not above a threshold are closed.
///
/// In files it is `GlobalAveragePool`, `Conv`, `BatchNormalization` (or none), `Relu`, `Conv`, `Greater`, `Cast`, then `Gather`
/// where a unit has several channels, and `Mul`: plain ONNX that every runtime computes, if at full price. Where open
/// channels are multiplied by their saliency, as published, it is `Clip` (or `Relu`) and `ThresholdedRelu` for `Greater` and `Cast`.
///
/// - Source: Tang et al. 2021 (ManiDP), arXiv:2103.05861.
package struct ChannelGate: Gate {
  /// Index of the `Mul` in the graph.
  package let product: Int
  /// What saliencies are compared with; 0 while it is trained.
  package let alpha: Float
  /// Index of the `Greater` or `ThresholdedRelu`, or what stands for it while it is trained.
  package let threshold: Int
  /// Whether open channels are multiplied by their saliency, not by 1.
  package let scales: Bool
  /// Indices of all its nodes but the product.
  package let nodes: [Int]
  /// What is averaged: images `[n, channels, …]`.
  package let input: ValueID
  /// What is multiplied.
  package let features: ValueID
  /// Before the threshold, `[n, units, 1, …]`, and after it.
  package let (saliency, decision): (ValueID, ValueID)
  /// The two layers.
  package let (hidden, units): (Layer, Layer)
  /// The unit of every channel.
  package let unitOfChannel: [Int]
  /// Saliencies are limited to this.
  package let range: ClosedRange<Float>
  /// How many units there are.
  package let unitCount: Int

  package struct Layer: Sendable {
    package let weight: ValueID
    package let bias: ValueID?
    /// Index of what follows, or `nil`.
    package let normalization: Int?
  }

  /// The share of the channels that each unit has.
  package var shares: [Double] {
    var counts = [Int](repeating: 0, count: unitCount)
    for unit in unitOfChannel { counts[unit] += 1 }
    return counts.map { Double($0) / Double(max(1, unitOfChannel.count)) }
  }
}

extension Graph {
  /// All gates, in order.
  ///
  /// - Parameter shapes: of all values.
  package func channelGates(_ shapes: [[Int]]) -> [ChannelGate] {
    let places = GatePlaces(self, shapes)
    return nodes.indices.compactMap { places.gate(at: $0) }
  }
}

/// Finds gates by who computes what.
private struct GatePlaces {
  private let graph: Graph
  private let shapes: [[Int]]
  private let producers: [Int?]

  init(_ graph: Graph, _ shapes: [[Int]]) {
    (self.graph, self.shapes, producers) = (graph, shapes, graph.producers)
  }

  /// The gate whose product a node is.
  func gate(at index: Int) -> ChannelGate? {
    let node = graph.nodes[index]
    guard node.op is Mul, let images = Mul.images(of: node.inputs.map { shapes[$0.index] }) else {
      return nil
    }
    var nodes: [Int] = []
    var value = node.inputs[1 - images]
    /// The operator that computes `value`, which then is what it reads.
    func stepBack<Op: Operator>(_: Op.Type) -> (op: Op, node: Node)? {
      guard let index = producers[value.index], let op = graph.nodes[index].op as? Op else {
        return nil
      }
      nodes.append(index)
      value = graph.nodes[index].inputs[0]
      return (op, graph.nodes[index])
    }
    /// A dense layer, written as a convolution of single positions.
    func layer() -> ChannelGate.Layer? {
      let normalization = stepBack(BatchNormalization.self).map(\.node)
      guard normalization?.inputs.dropFirst().allSatisfy({ graph.constants[$0] != nil }) ?? true
      else { return nil }
      let place = normalization == nil ? nil : nodes.last
      guard let (conv, node) = stepBack(Conv.self), conv.group == 1,
        shapes[value.index].dropFirst(2).allSatisfy({ $0 == 1 }),
        shapes[node.outputs[0].index].dropFirst(2).allSatisfy({ $0 == 1 }),
        let weight = graph.constants[node.inputs[1]],
        weight.shape.dropFirst(2).allSatisfy({ $0 == 1 }),
        node.inputs.dropFirst(2).allSatisfy({ graph.constants[$0] != nil })
      else { return nil }
      return .init(
        weight: node.inputs[1], bias: node.inputs.count > 2 ? node.inputs[2] : nil,
        normalization: place)
    }
    let channels = shapes[node.inputs[images].index][1]
    let gather = stepBack(Gather.self)
    let decision = value
    guard let (alpha, scales) = threshold(&value, &nodes), let threshold = nodes.last else {
      return nil
    }
    let saliency = value
    guard shapes[saliency.index] == shapes[decision.index] else { return nil }
    var range = -Float.infinity...Float.infinity
    if scales {
      let clip = stepBack(Clip.self)?.op
      guard clip.map({ $0.lower == 0 }) ?? (stepBack(Relu.self) != nil) else { return nil }
      let upper = clip?.upper ?? .infinity
      guard upper >= 0 else { return nil }
      range = 0...upper
    }
    guard let units = layer(), stepBack(Relu.self) != nil,
      let hidden = layer(), stepBack(GlobalAveragePool.self) != nil
    else { return nil }
    if let gather, gather.op.axis != 1 || gather.op.indexShape.count != 1 { return nil }
    let count = shapes[decision.index][1]
    return ChannelGate(
      product: index, alpha: alpha, threshold: threshold, scales: scales, nodes: nodes.reversed(),
      input: value,
      features: node.inputs[images], saliency: saliency, decision: decision,
      hidden: hidden, units: units,
      unitOfChannel: gather?.op.indices.map { $0 < 0 ? $0 + count : $0 } ?? Array(0..<channels),
      range: range, unitCount: count)
  }

  /// What decides, back from `value`, which then is what it reads.
  private func threshold(_ value: inout ValueID, _ nodes: inout [Int]) -> (
    alpha: Float, scales: Bool
  )? {
    while let index = producers[value.index] {
      let node = graph.nodes[index]
      nodes.append(index)
      value = node.inputs[0]
      switch node.op {
      case let op as Cast where op.type == .float32: continue
      case let op as ThresholdedRelu: return (op.alpha, true)
      case is DrawnDecision: return (0, false)
      case is Greater:
        guard let alpha = graph.constants[node.inputs[1]], alpha.count == 1, alpha.isFloat else {
          return nil
        }
        return (alpha.floats[0], false)
      default: return nil
      }
    }
    return nil
  }
}
