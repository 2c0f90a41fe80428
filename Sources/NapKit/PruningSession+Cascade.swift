import Foundation
import NapDynamic
import NapEngine
import NapGraph
import NapOutputs
import NapPruning
import NapTraining

// MARK: Two networks in one
extension PruningSession {
  /// A small network that answers and a larger one for what it doubts, so that examples cost a share of the
  /// multiply-accumulates, or of the time of a single example, in the mean.
  ///
  /// - Parameters:
  ///   - distribution: what the output's numbers say about classes, along `axis`.
  func pruneToCascade(
    _ distribution: Distribution, axis: Int, _ cost: Cost, keeping share: Double
  ) throws -> PruningOutcome {
    let small = settings.staticShare ?? Self.smallShare * share
    // What is not trained is no better for being smaller.
    let large = settings.isOneShot ? 1 : min(1, max(Self.largeShare * share, small))
    guard small < share, small + large > share else {
      throw UsageError(
        String(
          format: "a network of %.4g of the %@ leaves nothing of %g for what it doubts", small,
          cost.rawValue, share), recovery: "give a smaller --static-macs")
    }
    var (larger, second) = (State(graph: original), self)
    if large < 1 {
      var first = part(1, of: 2, kind: "network")
      first.budget = budget?.first(Self.largerTime)
      let epochs = recipe(length(epochs: Self.defaultEpochs)).epochs
      first.later = (try channelRounds(), trainedImages(epochs: epochs, of: small))
      larger = try first.pruneChannels(cost, keeping: large).state
      second = part(2, of: 2, kind: "network")
      (second.original, second.imitated, second.announces) = (larger.graph, teacher, false)
    }
    let made = try costs(of: [original, larger.graph], cost)
    var outcome = try second.pruneChannels(cost, keeping: min(1, small * made[0] / made[1]))
    outcome.state.isVerified = outcome.state.isVerified && larger.isVerified
    var graph = try folded(outcome.state.graph).askingWhereInDoubt(
      folded(larger.graph), distribution: distribution, axis: axis, threshold: 0)
    let macs = try GatedCost(graph)
    let whole = Double(try CostModel(original).macs)
    // What training has seen is doubted less: how much examples cost is seen on others, whatever is right there.
    let seen = try saliencies(of: graph, on: measured)
    var target = share * whole
    if cost != .macs {
      let parts = try costs(of: [original, outcome.state.graph, larger.graph], cost)
      let asked = min(1, max(0, (share * parts[0] - parts[1]) / parts[2]))
      target = macs.least + asked * (macs.most - macs.least)
    }
    let threshold = seen.threshold(for: target)
    let curve = Set(Self.cascadeBudgets.map { seen.threshold(for: $0 * whole) } + [threshold])
      .sorted().map { (threshold: $0, macs: seen.meanMACs(threshold: $0)) }
    graph = try graph.settingGates(threshold: threshold)
    graph.noteGates(whole: whole, curve: curve, statistics: [])
    outcome.meanMACs = seen.meanMACs(threshold: threshold) / whole
    let asked = seen.open(threshold: threshold).reduce(0) { $0 + $1[0] } / Double(max(1, seen.count))
    try progress(
      WorkProgress(
        stage: "counting doubts",
        message: String(
          format:
            "a network of %.1f %% of the MACs answers; of %.1f %% of the examples, one of %.1f %% does",
          100 * macs.least / whole, 100 * asked, 100 * (macs.most - macs.least) / whole)))
    outcome.state.graph = graph
    // Leaving out gives what multiplying by 0 gives.
    outcome.state.isVerified =
      try outcome.state.isVerified && agrees(graph, graph, rewritingSecond: false)
    return outcome
  }

  /// What the two networks have of the multiply-accumulates, as parts of the budget: of a ResNet-20 of 86.20 % (on images
  /// that it never saw), four epochs, 37.6 % of the multiply-accumulates, 84.80 % were left of one network; of 25 % and
  /// 60 %, 85.62; of 25 % and the whole, 85.33. At 45.8 %: 85.17, 85.77 and 85.91.
  private static let (smallShare, largeShare) = (0.62, 1.65)

  /// The part of the time that the larger one gets.
  private static let largerTime = 0.5

  /// Shares of the original for which thresholds are noted, as far as they can be reached.
  private static let cascadeBudgets = stride(from: 0.05, through: 1.2, by: 0.05)
}
