package import NapGraph
import NapTensor

/// What decides for every example which channels are computed: a mean of every channel of `input`, two dense
/// layers with ReLUs give a saliency of every unit of channels, and those below a threshold are closed.
///
/// In files it is `GlobalAveragePool`, `Conv`, `Relu`, `Conv`, `Clip` (or `Relu`), `ThresholdedRelu`, then `Gather` where
/// a unit has several channels, and `Mul`: plain ONNX that every runtime computes, if at full price.
///
/// - Source: Tang et al. 2021 (ManiDP), arXiv:2103.05861.
package struct ChannelGate: Sendable {
  /// Index of the `Mul` in the graph.
  package let product: Int
  /// What saliencies are compared with; 0 while it is trained.
  package let alpha: Float
  /// Index of the `ThresholdedRelu`, or the `MovingThreshold` while it is trained.
  package let threshold: Int
  /// Indices of all its nodes but the product.
  package let nodes: [Int]
  /// What is averaged: images `[n, channels, …]`.
  package let input: ValueID
  /// What is multiplied.
  package let features: ValueID
  /// Before the threshold, `[n, units, 1, …]`, and after it.
  package let (saliency, decision): (ValueID, ValueID)
  /// Weights and biases of the two layers; `nil` where a layer has none.
  package let (hidden, units): (Layer, Layer)
  /// The unit of every channel.
  package let unitOfChannel: [Int]
  /// The largest saliency.
  package let upper: Float
  /// How many units there are.
  package let unitCount: Int

  package struct Layer: Sendable {
    package let weight: ValueID
    package let bias: ValueID?
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
      guard let (conv, node) = stepBack(Conv.self), conv.group == 1,
        shapes[value.index].dropFirst(2).allSatisfy({ $0 == 1 }),
        shapes[node.outputs[0].index].dropFirst(2).allSatisfy({ $0 == 1 }),
        let weight = graph.constants[node.inputs[1]],
        weight.shape.dropFirst(2).allSatisfy({ $0 == 1 }),
        node.inputs.dropFirst(2).allSatisfy({ graph.constants[$0] != nil })
      else { return nil }
      return .init(weight: node.inputs[1], bias: node.inputs.count > 2 ? node.inputs[2] : nil)
    }
    let channels = shapes[node.inputs[images].index][1]
    let gather = stepBack(Gather.self)
    let decision = value
    let alpha = stepBack(ThresholdedRelu.self)?.op.alpha
    guard alpha != nil || stepBack(MovingThreshold.self) != nil, let threshold = nodes.last else {
      return nil
    }
    let saliency = value
    let clip = stepBack(Clip.self)?.op
    guard clip.map({ $0.lower == 0 }) ?? (stepBack(Relu.self) != nil), let units = layer(),
      stepBack(Relu.self) != nil,
      let hidden = layer(), stepBack(GlobalAveragePool.self) != nil
    else { return nil }
    if let gather, gather.op.axis != 1 || gather.op.indexShape.count != 1 { return nil }
    let count = shapes[decision.index][1]
    return ChannelGate(
      product: index, alpha: alpha ?? 0, threshold: threshold, nodes: nodes.reversed(),
      input: value,
      features: node.inputs[images], saliency: saliency, decision: decision,
      hidden: hidden, units: units,
      unitOfChannel: gather?.op.indices.map { $0 < 0 ? $0 + count : $0 } ?? Array(0..<channels),
      upper: clip?.upper ?? .infinity, unitCount: count)
  }
}
