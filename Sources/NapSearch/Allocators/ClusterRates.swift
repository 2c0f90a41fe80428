import Foundation

/// One rate for all clusters of units that do the same: of a cluster of `n`, `n^(1 - r)` stay. More of larger
/// clusters goes, and what is alone stays; the rate `r` is what the budget asks for. Where one of every cluster is too
/// much, all sets lose the same share of that.
///
/// As published, but for how the part that goes grows with a cluster's size, which is not to be found.
///
/// - Source: Qin et al. 2018, arXiv:1810.07322.
package struct ClusterRates: Allocator {
  package static let name = "functionality"
  package static let summary = "less of layers whose filters repeat each other (functionality)"

  package static let variants: [(name: String, summary: String)] = []
  package init(variant: String, _ settings: AllocatorSettings) {}

  package func widths(for problem: AllocationProblem) throws -> [Int] {
    let clusters = try problem.evidence.clusterSizes()
    func shares(_ rate: Double) -> [Double] {
      zip(clusters, problem.space.full).map { sizes, full in
        sizes.reduce(0) { $0 + pow(Double($1), 1 - rate) } / Double(max(1, full))
      }
    }
    func fits(_ rate: Double) -> Bool {
      let widths = problem.space.widths(ofShares: shares(rate)).map { Int($0.rounded()) }
      return problem.space.cost(of: zip(widths, problem.space.least).map(max)) <= problem.budget
    }
    guard fits(1) else { return try problem.scaled(shares(1)) }
    var (low, high) = (0.0, 1.0)
    for _ in 0..<Self.bisections {
      let middle = (low + high) / 2
      if fits(middle) { high = middle } else { low = middle }
    }
    return try problem.fitted(shares(high))
  }

  private static let bisections = 24
}
