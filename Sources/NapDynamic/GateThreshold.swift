package import NapGraph
import NapOperators
package import NapTensor

extension Graph {
  /// Of its gates, the first of them where they differ; 0 where it has none.
  package var gateThreshold: Float {
    (try? shapes(batch: 1)).flatMap { channelGates($0).first?.alpha } ?? 0
  }

  /// The network with another threshold in all of its gates.
  package func settingGates(threshold: Float) throws(GraphError) -> Graph {
    var result = self
    for gate in channelGates(try shapes(batch: 1)) {
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
  package func showingSaliencies() throws(GraphError) -> Graph {
    let shapes = try shapes(batch: 1)
    var result = self
    result.outputs += channelGates(shapes).map { gate in
      Port(
        value: gate.saliency,
        dimensions: [outputs.first?.dimensions.first ?? .dynamic("N")]
          + shapes[gate.saliency.index].dropFirst().map { .fixed($0) })
    }
    return result
  }

  /// The network without the outputs that `showingSaliencies` has added.
  package func hidingSaliencies(of original: Graph) -> Graph {
    var result = self
    result.outputs = Array(outputs.prefix(original.outputs.count))
    return result
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
    let shares = cost.gates.map(\.shares)
    let thresholds = cost.gates.map { threshold ?? $0.alpha }
    return (0..<count).map { n in
      shares.indices.map { gate in
        let (row, units) = (n * shares[gate].count, shares[gate])
        return units.indices.reduce(0) {
          $0 + (values[gate][row + $1] > thresholds[gate] ? units[$1] : 0)
        }
      }
    }
  }

  /// The share of the channels that is open in the mean of many draws, by example and gate, see `DrawnDecision`.
  package func probabilities() -> [[Double]] {
    let shares = cost.gates.map(\.shares)
    return (0..<count).map { n in
      shares.indices.map { gate in
        let (row, units) = (n * shares[gate].count, shares[gate])
        return units.indices.reduce(0) {
          $0 + units[$1] * Double(DrawnDecision.probability(values[gate][row + $1]))
        }
      }
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
