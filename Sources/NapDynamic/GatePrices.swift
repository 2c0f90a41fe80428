package import Foundation
import NapOperators
import NapTraining

/// What open channels cost while gates are trained: a price on the probability that each unit is open, by what its
/// channels cost in multiply-accumulates, higher for easy examples. How high it is follows from what examples cost:
/// it rises while that is more than a schedule wants, which falls to a budget.
///
/// As published but for three things: prices are multiply-accumulates, not one for all; the budget decides how high
/// they are, where ManiDP closes a share of every layer; and the weight of an example is taken as given: where it has a
/// gradient, as published, being wrong about easy examples is rewarded.
///
/// - Source: Tang et al. 2021, arXiv:2103.05861.
package final class GatePrices: SideLoss {
  private let cost: GatedCost
  private let start: Double
  private let target: Double
  private let similarity: GateSimilarity?
  private var memory = Memory()

  private struct Memory: Codable {
    /// What everything open costs, in nats.
    var price = 0.0
    var steps = 0
    var progress = 0.0
    /// Of the batches so far, the last ones most: of multiply-accumulates, and of the other losses.
    var macs: Double?
    var loss: Double?
  }

  /// - Parameters:
  ///   - cost: of the network that is trained.
  ///   - target: mean multiply-accumulates of an example at the end.
  ///   - similarity: where the network shows means behind its saliencies.
  package init(_ cost: GatedCost, target: Double, similarity: GateSimilarity? = nil) {
    (self.cost, self.target, self.similarity) = (cost, target, similarity)
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

  /// For the next step, see `DrawnDecision`.
  package var draw: (step: Float, noise: Float) {
    let left = 1 - memory.progress
    return (Float(memory.steps), Float(min(1, left / Self.fading)))
  }
  /// Mean multiply-accumulates lately.
  package var macs: Double { memory.macs ?? start }
  /// What everything open costs, in nats.
  package var price: Double { memory.price }

  /// The part of the training at whose end the cost has fallen.
  private static let falling = 0.3
  /// The part at the end in which noise fades.
  private static let fading = 0.3
  /// What is kept of older means when a batch comes.
  private static let kept = 0.9
  /// By how much the price rises in a whole training, and how much higher it is at once, for what examples cost too
  /// much, as a share of everything open.
  private static let (growth, pressure) = (200.0, 5.0)

  private func wanted(at progress: Double) -> Double {
    let part = min(max(progress / Self.falling, 0), 1)
    return target + (start - target) * 0.5 * (1 + cos(.pi * part))
  }

  package func loss(
    at progress: Double, of said: ArraySlice<UnsafePointer<Float>>, losses: [Double],
    gradients: ArraySlice<UnsafeMutablePointer<Float>>
  ) -> Double {
    let count = losses.count
    guard losses.allSatisfy(\.isFinite), areFinite(said, count) else {
      // The step will not be made: nothing of it may be remembered.
      return .nan
    }
    var seen = Saliencies(cost)
    seen.add(said.prefix(cost.gates.count), count: count)
    let hard = seen.meanMACs(threshold: 0)
    memory.macs = Self.mean(memory.macs, hard)
    let usual = Self.mean(memory.loss, losses.reduce(0, +) / Double(count))
    memory.loss = usual
    let open = seen.probabilities()
    // Of an example that is harder than most, nothing is asked.
    let ease = losses.map {
      max(0, 1 - $0 / max(usual, .leastNormalMagnitude))
    }
    let sum = max(ease.reduce(0, +), 1e-9)
    let expected = open.reduce(0) { $0 + cost.macs(open: $1) } / Double(count)
    let over = ((hard + expected) / 2 - wanted(at: progress)) / start
    let part = max(0, progress - memory.progress)
    memory.price = max(0, memory.price + Self.growth * part * over)
    memory.steps += 1
    memory.progress = progress
    let price = max(0, memory.price + Self.pressure * over)
    let (gates, shares) = (cost.gates.count, cost.gates.map(\.shares))
    let (said, gradients) = (Array(said), Array(gradients))
    for n in 0..<count {
      let prices = cost.prices(open: open[n])
      let factor = price * ease[n] / sum / start
      for (g, shares) in shares.enumerated() {
        for (u, share) in shares.enumerated() {
          let place = n * shares.count + u
          let slope = Double(DrawnDecision.slope(said[g][place]))
          gradients[g][place] = Float(factor * prices[g] * share * slope)
        }
      }
    }
    var unlike = 0.0
    if let similarity {
      for case (let g, let gate as ChannelGate) in cost.gates.enumerated() {
        unlike += similarity.loss(
          said[g], units: gate.unitCount, said[gates + g], channels: gate.unitOfChannel.count,
          count: count, gradients: (gradients[g], gradients[gates + g]))
      }
    }
    return price * expected / start + unlike
  }

  private func areFinite(_ said: ArraySlice<UnsafePointer<Float>>, _ count: Int) -> Bool {
    zip(said, cost.gates).allSatisfy { said, gate in
      UnsafeBufferPointer(start: said, count: count * gate.unitCount).allSatisfy(\.isFinite)
    }
  }

  private static func mean(_ old: Double?, _ new: Double) -> Double {
    old.map { kept * $0 + (1 - kept) * new } ?? new
  }
}
