import NapGraph
import NapPruning
import NapSearch
import NapTensor

/// Widths that an allocator has decided on: how many indices stay on axes.
struct DecidedWidths: Codable {
  /// Of the network as it is.
  var full: [IndexAtoms.Place: Int]
  var kept: [IndexAtoms.Place: Int]

  /// On the way to them, in equal shares.
  func halfway(part: Int, of count: Int) -> [IndexAtoms.Place: Int] {
    guard part < count else { return kept }
    return full.merging(kept) { full, kept in
      kept + Int(Double(full - kept) * (1 - Double(part) / Double(count)))
    }
  }
}

// MARK: Widths
extension PruningSession {
  /// What the allocator makes of a network; `nil` where the criterion's ranking decides.
  func widths(of graph: Graph, _ cost: Cost, downTo target: Int) throws -> DecidedWidths? {
    guard let allocator else { return nil }
    return try journal.step("choosing widths") {
      let space = try WidthSpace(
        graph, cost: cost, rounding: settings.rounding, latencies: latencies)
      let kept = try allocator.widths(
        for: AllocationProblem(
          space: space, budget: target, seed: seed.derived("widths"),
          evidence: NetworkEvidence(self, graph, space)))
      try progress(
        WorkProgress(
          stage: "choosing widths",
          message: "\(settings.allocator) keeps "
            + zip(kept, space.full).map { "\($0)/\($1)" }.joined(separator: " ")))
      return DecidedWidths(full: space.goals(of: space.full), kept: space.goals(of: kept))
    }
  }
}
