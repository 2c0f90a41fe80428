import Foundation
package import NapGraph
import NapOperators
package import NapTensor

/// How gates are made.
package struct GateStyle: Sendable, Hashable, Codable {
  /// Channels of a unit, which are open or closed together: what kernels compute at once.
  package var block = 8

  package init(block: Int = 8) { self.block = block }
}

extension Graph {
  /// The network with gates on the outputs of its convolutions, which change nothing at first: every saliency is
  /// above the threshold.
  ///
  /// A gate stands behind what follows a convolution alone: its normalization and its activation, before a
  /// residual sum. The first layers, shortcuts, grouped convolutions and those that cost hardly more than
  /// their gate have none.
  ///
  /// - Parameter style: how they are made.
  /// - Source: Tang et al. 2021, arXiv:2103.05861.
  package func addingGates(_ style: GateStyle, seed: Seed) throws(GraphError) -> Graph {
    let shapes = try shapes(batch: 1)
    let places = gatePlaces(shapes)
    var result = self
    // From the last on, so that indices stay right.
    for place in places.reversed() {
      result.insertGate(
        place, shapes, style, seed.derived(nodes[place.convolution].name))
    }
    return result
  }

  /// Where a gate may stand.
  private struct GatePlace {
    let convolution: Int
    /// Behind which node, which computes what is gated.
    let last: Int
  }

  private func gatePlaces(_ shapes: [[Int]]) -> [GatePlace] {
    let readers = consumers
    let given = Set(outputs.map(\.value) + inputs.map(\.value))
    let shortcuts = shortcuts()
    return nodes.indices.compactMap { index in
      let node = nodes[index]
      guard let conv = node.op as? Conv, conv.group == 1, constants[node.inputs[1]] != nil,
        !given.contains(node.inputs[0]), !shortcuts.contains(index)
      else { return nil }
      var last = index
      while let value = nodes[last].outputs.first, readers[value.index].count == 1,
        let next = readers[value.index].first,
        nodes[next].op is BatchNormalization || nodes[next].op is any ElementwiseOperator
      {
        last = next
      }
      let (features, input) = (shapes[nodes[last].outputs[0].index], shapes[node.inputs[0].index])
      guard !given.contains(nodes[last].outputs[0]), features.count == input.count,
        Mul.images(of: [features, Array(features.prefix(2)) + features.dropFirst(2).map { _ in 1 }])
          != nil
      else { return nil }
      let macs = node.op.macs(
        inputs: node.inputs.map { shapes[$0.index] }, outputs: node.outputs.map { shapes[$0.index] }
      )
      let hidden = Self.hiddenFeatures(input[1])
      guard macs >= Self.worthwhile * hidden * (input[1] + features[1]) else { return nil }
      return GatePlace(convolution: index, last: last)
    }
  }

  /// Of all units: they are open but for 12 of 100 draws, see `DrawnDecision`.
  private static let firstSaliency = 2 * DrawnDecision.temperature

  /// Of the weights that make saliencies, as a share of what is usual: they differ hardly at first.
  private static let smallDeviation = 0.3 * DrawnDecision.temperature

  /// How many times a gate's multiply-accumulates a convolution costs that gets one.
  private static let worthwhile = 8

  /// Convolutions that lead around others to a residual sum.
  private func shortcuts() -> Set<Int> {
    let producers = producers
    /// Convolutions on the way back to where a value has no single source, and that place.
    func way(_ value: ValueID) -> (count: Int, convolutions: [Int], start: ValueID) {
      var (value, found) = (value, [Int]())
      while let index = producers[value.index],
        !(nodes[index].op is Add), nodes[index].inputs.filter({ constants[$0] == nil }).count == 1
      {
        if nodes[index].op is Conv { found.append(index) }
        value = nodes[index].inputs[0]
      }
      return (found.count, found, value)
    }
    var result: Set<Int> = []
    for node in nodes where node.op is Add && node.inputs.allSatisfy({ constants[$0] == nil }) {
      let ways = node.inputs.map { way($0) }
      guard ways[0].start == ways[1].start, ways[0].count != ways[1].count else { continue }
      result.formUnion(ways[0].count < ways[1].count ? ways[0].convolutions : ways[1].convolutions)
    }
    return result
  }

  /// More would cost time to read, if hardly any multiply-accumulates.
  private static func hiddenFeatures(_ inputs: Int) -> Int { min(64, max(8, inputs / 4)) }

  private mutating func insertGate(
    _ place: GatePlace, _ shapes: [[Int]], _ style: GateStyle, _ seed: Seed
  ) {
    let (convolution, last) = (nodes[place.convolution], nodes[place.last])
    let (input, features) = (convolution.inputs[0], last.outputs[0])
    let (inputs, channels) = (shapes[input.index][1], shapes[features.index][1])
    let axes = shapes[features.index].count - 2
    let block = max(1, style.block)
    let units = (channels + block - 1) / block
    let hidden = Self.hiddenFeatures(inputs)
    let name = "\(convolution.name)/gate"
    let ones = [Int](repeating: 1, count: axes)
    let window = Window(
      kernel: ones, strides: ones,
      padding: .explicit(begin: ones.map { _ in 0 }, end: ones.map { _ in 0 }))
    var added: [Node] = []
    func node(_ suffix: String, _ op: any Operator, _ inputs: [ValueID]) -> ValueID {
      let output = addValue("\(name)/\(suffix)")
      added.append(Node(name: "\(name)/\(suffix)", op: op, inputs: inputs, outputs: [output]))
      return output
    }
    func weight(_ suffix: String, _ outputs: Int, _ inputs: Int, deviation: Float) -> ValueID {
      addConstant(
        "\(name)/\(suffix).weight",
        seed.derived(suffix).normal([outputs, inputs] + ones, deviation: deviation))
    }
    let mean = node("mean", GlobalAveragePool(), [input])
    var inner = node(
      "hidden", Conv(window: window),
      [mean, weight("hidden", hidden, inputs, deviation: (2 / Float(inputs)).squareRoot())])
    // Means of channels differ little from image to image: this is what differs.
    let parameters = [("scale", 1), ("shift", 0), ("mean", 0), ("variance", 1)].map {
      addConstant("\(name)/normalization.\($0)", Tensor(shape: [hidden], repeating: $1))
    }
    inner = node("normalization", BatchNormalization(), [inner] + parameters)
    let bias = addConstant(
      "\(name)/units.bias", Tensor(shape: [units], repeating: Self.firstSaliency))
    let outer = node(
      "units", Conv(window: window),
      [
        node("active", Relu(), [inner]),
        weight(
          "units", units, hidden,
          deviation: Self.smallDeviation * (2 / Float(hidden)).squareRoot()),
        bias,
      ])
    let threshold = addConstant("\(name)/threshold", Tensor(shape: [1], repeating: 0))
    let isOpen = node("decision", Greater(), [outer, threshold])
    var decision = node("number", Cast(to: .float32), [isOpen])
    if block > 1 {
      let indices = (0..<channels).map { $0 / block }
      decision = node("channels", Gather(axis: 1, indices: indices), [decision])
    }
    // What was read under this name is the product now.
    let whole = addValue("\(name)/features")
    nodes[place.last].outputs[0] = whole
    added.append(Node(name: name, op: Mul(), inputs: [whole, decision], outputs: [features]))
    nodes.insert(contentsOf: added, at: place.last + 1)
  }
}
