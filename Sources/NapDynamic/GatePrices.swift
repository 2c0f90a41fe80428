package import Foundation
import NapOperators
import NapTraining

/// What open channels cost while gates are trained: a price on every saliency, by what its channels cost in
/// multiply-accumulates, higher for easy examples. The threshold follows a schedule: such that the mean cost of
/// examples falls to a budget.
///
/// As published but for three things: prices are multiply-accumulates, not one for all; there is one threshold for
/// all layers, which the budget decides, not a share of every layer; and the weight of an example is taken as given:
/// where it has a gradient, as published, being wrong about easy examples is rewarded.
///
/// - Source: Tang et al. 2021, arXiv:2103.05861.
package final class GatePrices: SideLoss {
  private let cost: GatedCost
  private let start: Double
  private let target: Double
  private var memory = Memory()

  private struct Memory: Codable {
    var threshold = 0.0
    /// Of the batches so far, the last ones most: of multiply-accumulates, and of the other losses.
    var macs: Double?
    var loss: Double?
  }

  /// - Parameters:
  ///   - cost: of the network that is trained.
  ///   - target: mean multiply-accumulates of an example at the end.
  package init(_ cost: GatedCost, target: Double) {
    (self.cost, self.target) = (cost, target)
    start = cost.most
  }

  package var state: Data {
    get { (try? JSONEncoder().encode(memory)) ?? Data() }
    set {
      if let memory = try? JSONDecoder().decode(Memory.self, from: newValue) {
        self.memory = memory
      }
    }
  }

  /// Of the saliencies, for the next step.
  package var threshold: Float { Float(memory.threshold) }
  /// Mean multiply-accumulates lately.
  package var macs: Double { memory.macs ?? start }

  /// What all saliencies together cost when they are 1, in nats.
  private static let weight = 0.3
  /// The parts of the training in which the cost falls.
  private static let falling = (begin: 0.1, end: 0.65)
  /// What is kept of older means when a batch comes.
  private static let kept = 0.9

  private func wanted(at progress: Double) -> Double {
    let (begin, end) = Self.falling
    let part = min(max((progress - begin) / (end - begin), 0), 1)
    return target + (start - target) * 0.5 * (1 + cos(.pi * part))
  }

  package func loss(
    at progress: Double, of said: ArraySlice<UnsafePointer<Float>>, losses: [Double],
    gradients: ArraySlice<UnsafeMutablePointer<Float>>
  ) -> Double {
    let count = losses.count
    var seen = Saliencies(cost)
    seen.add(said, count: count)
    let open = seen.open(threshold: threshold)
    memory.macs = Self.mean(
      memory.macs, open.reduce(0) { $0 + cost.macs(open: $1) } / Double(count))
    let usual = Self.mean(memory.loss, losses.reduce(0, +) / Double(count))
    memory.loss = usual
    // Of an example that is harder than most, nothing is asked.
    let ease = losses.map { max(0, 1 - $0 / max(usual, .leastNormalMagnitude)) }
    let sum = max(ease.reduce(0, +), 1e-9)
    let shares = cost.gates.map(\.shares)
    var total = 0.0
    for n in 0..<count {
      let prices = cost.prices(open: open[n])
      let factor = Self.weight * ease[n] / sum / start
      for (g, (said, gradient)) in zip(said, gradients).enumerated() {
        let units = shares[g].count
        for u in 0..<units {
          let price = factor * prices[g] * shares[g][u]
          let saliency = said[n * units + u]
          total += price * Double(saliency)
          gradient[n * units + u] = saliency > 0 ? Float(price) : 0
        }
      }
    }
    let next = wanted(at: progress)
    memory.threshold =
      next < start
      ? Self.kept * memory.threshold + (1 - Self.kept) * Double(seen.threshold(for: next)) : 0
    return total
  }

  private static func mean(_ old: Double?, _ new: Double) -> Double {
    old.map { kept * $0 + (1 - kept) * new } ?? new
  }
}
