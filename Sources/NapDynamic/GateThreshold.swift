package import NapGraph
import NapOperators
package import NapTensor

extension Graph {
  /// Of its gates, the first of them where they differ; 0 where it has none.
  package var gateThreshold: Float {
    (try? shapes(batch: 1)).flatMap { gates($0).first?.alpha } ?? 0
  }

  /// The network with another threshold in all of its gates.
  package func settingGates(threshold: Float) throws(GraphError) -> Graph {
    var result = self
    for gate in gates(try shapes(batch: 1)) {
      if gate.scales {
        result.nodes[gate.threshold].op = ThresholdedRelu(alpha: threshold)
        result.nodes[gate.threshold].inputs = [gate.saliency]
      } else {
        let alpha = result.addConstant(
          "\(nodes[gate.product].name)/threshold", Tensor(shape: [1], repeating: threshold))
        result.nodes[gate.threshold].op = Greater()
        result.nodes[gate.threshold].inputs = [gate.saliency, alpha]
      }
    }
    return result
  }

  /// The network whose gates decide with noise, and where that is said, see `DrawnDecision`.
  package func drawingDecisions(seed: Seed) throws(GraphError) -> (graph: Graph, draw: ValueID) {
    var result = self
    let draw = result.addConstant("gates/draw", Tensor(shape: [2], floats: [0, 0]))
    for gate in channelGates(try shapes(batch: 1)) {
      result.nodes[gate.threshold].op = DrawnDecision(
        seed: seed.derived(nodes[gate.product].name))
      result.nodes[gate.threshold].inputs = [gate.saliency, draw]
    }
    return (result, draw)
  }

  /// The network with the saliencies of all gates as outputs behind its own.
  ///
  /// - Parameter withMeans: whether the means of what gates multiply follow, `[n, channels, 1, …]`.
  package func showingSaliencies(withMeans: Bool = false) throws(GraphError) -> Graph {
    let shapes = try shapes(batch: 1)
    let gates = gates(shapes)
    var result = self
    func show(_ value: ValueID, _ sizes: some Sequence<Int>) {
      result.outputs.append(
        Port(
          value: value,
          dimensions: [outputs.first?.dimensions.first ?? .dynamic("N")]
            + sizes.map { .fixed($0) }))
    }
    for gate in gates { show(gate.saliency, shapes[gate.saliency.index].dropFirst()) }
    guard withMeans else { return result }
    for gate in channelGates(shapes) {
      let name = "\(nodes[gate.product].name)/features.mean"
      let mean = result.addNode(name, GlobalAveragePool(), [gate.features])[0]
      let features = shapes[gate.features.index]
      show(mean, [features[1]] + features.dropFirst(2).map { _ in 1 })
    }
    return result
  }

  /// The network without some gates: what they multiply stays as it is, and gets the name of the product.
  ///
  /// - Parameter isIdle: by gate.
  package func removingGates(_ isIdle: [Bool]) throws(GraphError) -> Graph {
    var result = self
    var gone: Set<Int> = []
    for (gate, isIdle) in zip(gates(try shapes(batch: 1)), isIdle) where isIdle {
      let product = nodes[gate.product].outputs[0]
      guard let producer = producers[gate.features.index] else { continue }
      gone.insert(gate.product)
      for index in result.nodes.indices {
        result.nodes[index].inputs = result.nodes[index].inputs.map {
          $0 == gate.features ? product : $0
        }
      }
      result.nodes[producer].outputs = result.nodes[producer].outputs.map {
        $0 == gate.features ? product : $0
      }
    }
    result.nodes = result.nodes.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
    return result.withoutDeadNodes()
  }

  /// The network without the outputs that `showingSaliencies` has added.
  package func hidingSaliencies(of original: Graph) -> Graph {
    var result = self
    result.outputs = Array(outputs.prefix(original.outputs.count))
    return result.withoutDeadNodes()
  }
}

/// What the gates of a network say of some examples.
package struct Saliencies: Sendable {
  private let cost: GatedCost
  /// By gate, `[examples, units]`.
  private var values: [[Float]]
  package private(set) var count = 0

  package init(_ cost: GatedCost) {
    self.cost = cost
    values = cost.gates.map { _ in [] }
  }

  /// - Parameter said: dense, `[count, units, …]`, by gate.
  package mutating func add(_ said: ArraySlice<UnsafePointer<Float>>, count: Int) {
    for (index, pointer) in said.enumerated() {
      values[index] += UnsafeBufferPointer(
        start: pointer, count: count * cost.gates[index].unitCount)
    }
    self.count += count
  }

  /// The share of the channels that is open, by example and gate.
  ///
  /// - Parameter threshold: of all gates, were it so; `nil` for what each has.
  package func open(threshold: Float? = nil) -> [[Double]] {
    let thresholds = cost.gates.map { threshold ?? $0.alpha }
    return shares { gate, saliency in saliency > thresholds[gate] ? 1 : 0 }
  }

  /// The share of the channels that is open in the mean of many draws, by example and gate, see `DrawnDecision`.
  package func probabilities() -> [[Double]] {
    shares { _, saliency in Double(DrawnDecision.probability(saliency)) }
  }

  /// - Parameter part: of a unit, by its gate and saliency.
  private func shares(_ part: (Int, Float) -> Double) -> [[Double]] {
    let shares = cost.gates.map(\.shares)
    return (0..<count).map { n in
      shares.enumerated().map { gate, units in
        let row = n * units.count
        return units.indices.reduce(0) { $0 + units[$1] * part(gate, values[gate][row + $1]) }
      }
    }
  }

  /// By gate, whether all channels of all examples were open, and multiplied by 1.
  package var areIdle: [Bool] {
    zip(cost.gates, values).map { gate, values in
      !gate.scales && !values.isEmpty && values.allSatisfy { $0 > gate.alpha }
    }
  }

  /// Multiply-accumulates of every example; `threshold` as of `open`.
  package func macs(threshold: Float? = nil) -> [Double] {
    open(threshold: threshold).map { cost.macs(open: $0) }
  }

  /// The mean of `macs`; 0 without examples.
  package func meanMACs(threshold: Float) -> Double {
    macs(threshold: threshold).reduce(0, +) / Double(max(1, count))
  }

  /// The threshold at which examples cost so much in the mean, as far as saliencies stay what they are.
  package func threshold(for macs: Double) -> Float {
    let all = values.joined()
    var (low, high) = ((all.min() ?? 0) - 1e-3, (all.max() ?? 1) + 1e-3)
    for _ in 0..<30 {
      let middle = 0.5 * (low + high)
      if meanMACs(threshold: middle) > macs { low = middle } else { high = middle }
    }
    return high
  }
}
