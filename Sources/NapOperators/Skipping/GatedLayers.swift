package import NapGraph

/// Which gates close the outputs and the inputs of every convolution.
package struct GatedLayers: Sendable {
  /// A convolution without groups.
  package struct Layer: Sendable {
    /// Index of the node in the graph.
    package let node: Int
    /// Of its outputs: an index of `gates`; `nil` where all are needed always.
    package var output: Int?
    /// Of its inputs.
    package var input: Int?
  }

  package let gates: [ChannelGate]
  /// All that have a gate, in order.
  package let layers: [Layer]

  /// - Parameter shapes: of all values.
  package init(_ graph: Graph, shapes: [[Int]]) {
    gates = graph.channelGates(shapes)
    let producers = graph.producers
    let uses = graph.consumers
    let outputs = Set(graph.outputs.map(\.value))
    let inGates = Set(gates.flatMap(\.nodes))
    var layers: [Int: Layer] = [:]
    // From what is multiplied back to the convolution that alone it depends on.
    for (index, gate) in gates.enumerated() {
      var value = gate.features
      while let place = producers[value.index], uses[value.index].count == 1,
        !outputs.contains(value)
      {
        let node = graph.nodes[place]
        if let conv = node.op as? Conv, conv.group == 1 {
          layers[place, default: Layer(node: place)].output = index
          break
        }
        guard node.op is BatchNormalization || node.op is any ElementwiseOperator else { break }
        value = node.inputs[0]
      }
    }
    let gateOfProduct = Dictionary(
      gates.enumerated().map { ($1.product, $0) }, uniquingKeysWith: { a, _ in a })
    for (place, node) in graph.nodes.enumerated() {
      guard let conv = node.op as? Conv, conv.group == 1, !inGates.contains(place) else { continue }
      var value = node.inputs[0]
      while let producer = producers[value.index] {
        if let gate = gateOfProduct[producer] {
          layers[place, default: Layer(node: place)].input = gate
          break
        }
        guard graph.nodes[producer].op.keepsChannelsOfZeros else { break }
        value = graph.nodes[producer].inputs[0]
      }
    }
    self.layers = layers.keys.sorted().compactMap { layers[$0] }
  }
}

extension Operator {
  /// Whether a channel of zeros becomes a channel of zeros, and no other channel depends on it.
  fileprivate var keepsChannelsOfZeros: Bool {
    if self is any PoolingOperator { return true }
    return (self as? any ElementwiseOperator)?.value(0) == 0
  }
}
