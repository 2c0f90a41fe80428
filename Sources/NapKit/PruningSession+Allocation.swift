import NapGraph
import NapKernels
import NapPruning
import NapReport
import NapSearch
import NapTensor

/// Widths that an allocator has decided on.
struct DecidedWidths: Codable {
  /// Of the network as it is.
  var full: WidthGoals
  var kept: WidthGoals
  var report: AllocationReport

  /// On the way to them, in equal shares.
  func halfway(part: Int, of count: Int) -> WidthGoals {
    full.approaching(kept, left: part < count ? 1 - Double(part) / Double(count) : 0)
  }
}

// MARK: Widths
extension PruningSession {
  /// What the allocator makes of a network; `nil` where the criterion's ranking decides.
  func widths(of graph: Graph, _ cost: Cost, downTo target: Int) throws -> DecidedWidths? {
    guard let allocator else { return nil }
    return try journal.step(Self.choosing) {
      let space = try WidthSpace(
        graph, cost: cost, rounding: settings.rounding, latencies: latencies)
      let evidence = NetworkEvidence(self, graph, space)
      let kept = try allocator.widths(
        for: AllocationProblem(
          space: space, budget: target, seed: seed.derived("widths"), evidence: evidence))
      try progress(
        WorkProgress(
          stage: Self.choosing,
          message: "\(settings.allocator) keeps "
            + zip(kept, space.full).map { "\($0)/\($1)" }.joined(separator: " ")))
      return DecidedWidths(
        full: space.goals(of: space.full), kept: space.goals(of: kept),
        report: try evidence.report(of: kept, by: settings.allocator))
    }
  }
}

extension NetworkEvidence {
  /// What has been decided, and what was found out for it.
  fileprivate func report(of widths: [Int], by allocator: String) throws -> AllocationReport {
    let names = try layerNames()
    let whole = Double(max(1, space.cost(of: space.full)))
    var report = AllocationReport(
      allocator: allocator,
      sets: widths.indices.map {
        AllocationReport.Set(layer: names[$0], before: space.full[$0], after: widths[$0])
      })
    report.similarity = similarity.map { matrix in
      (0..<matrix.rows).map { i in (0..<matrix.columns).map { matrix[i, $0] } }
    }
    report.front = front.map { front in
      front.map {
        AllocationReport.Candidate(
          widths: $0.widths, cost: Double($0.score.cost) / whole, loss: $0.score.loss)
      }
    }
    return report
  }

  /// The first layer that computes each set.
  private func layerNames() throws -> [String] {
    let shapes = try graph.shapes(batch: 1)
    return space.full.indices.map { set in
      let places = space.places(of: set)
      let node = graph.nodes.first { node in
        guard let (op, _) = graph.affineForm(of: node, shapes) else { return false }
        return places[.output(of: node, op, shapes)] != nil
      }
      return node?.name ?? "set \(set + 1)"
    }
  }
}
