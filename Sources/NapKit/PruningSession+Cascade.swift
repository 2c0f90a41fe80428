import Foundation
import NapDynamic
import NapGraph
import NapOutputs
import NapPruning

// MARK: Two networks in one
extension PruningSession {
  /// A small network that answers, and the original for what that doubts, so that examples cost a share of the
  /// multiply-accumulates in the mean.
  ///
  /// - Parameters:
  ///   - distribution: what the output's numbers say about classes, along `axis`.
  func pruneToCascade(_ distribution: Distribution, axis: Int, keeping share: Double) throws
    -> PruningOutcome
  {
    let whole = Double(try CostModel(original).macs)
    let small = settings.staticShare ?? Self.smallShare * share
    guard small < share else {
      throw UsageError(
        String(
          format: "a network of %.4f of the macs leaves nothing of %g for what it doubts", small,
          share), recovery: "give a smaller --static-macs")
    }
    var outcome = try pruneChannels(.macs, keeping: small)
    var graph = try folded(outcome.state.graph).askingWhereInDoubt(
      folded(original), distribution: distribution, axis: axis, threshold: 0)
    graph.noteGates(whole: whole, curve: [], statistics: [])
    let cost = try GatedCost(graph)
    guard cost.most > share * whole else {
      throw UsageError(
        String(
          format: "asking for every example costs %.4f of the macs: there is nothing to decide",
          cost.most / whole), recovery: "ask for less")
    }
    let seen = try saliencies(of: graph, on: validation)
    let threshold = seen.threshold(for: share * whole)
    let curve = Set(Self.cascadeBudgets.map { seen.threshold(for: $0 * whole) } + [threshold])
      .sorted().map { (threshold: $0, macs: seen.meanMACs(threshold: $0)) }
    graph = try graph.settingGates(threshold: threshold)
    graph.noteGates(whole: whole, curve: curve, statistics: [])
    outcome.meanMACs = seen.meanMACs(threshold: threshold) / whole
    outcome.state.graph = graph
    // Leaving out gives what multiplying by 0 gives.
    outcome.state.isVerified =
      try outcome.state.isVerified && agrees(graph, graph, rewritingSecond: false)
    return outcome
  }

  /// The part of the budget that the small network gets.
  private static let smallShare = 0.6

  /// Shares of the original for which thresholds are noted, as far as they can be reached.
  private static let cascadeBudgets = stride(from: 0.05, through: 1.2, by: 0.05)
}
