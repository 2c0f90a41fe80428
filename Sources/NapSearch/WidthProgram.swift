import Foundation

/// Which shares of all sets are worth most under a budget.
struct WidthProgram {
  let cost: QuadraticCost
  /// In parts of the whole network's cost.
  let budget: Double
  /// The shares that sets keep at least.
  let least: [Double]

  private func excess(_ shares: [Double]) -> (value: Double, gradient: [Double]) {
    (cost.value(at: shares) - budget, cost.gradient(at: shares))
  }

  /// `max Σ w x` between nothing and all of every set, from all, as published.
  func linear(_ weights: [Double]) -> [Double]? {
    SequentialProgram(
      objective: { shares in
        (-zip(weights, shares).reduce(0) { $0 + $1.0 * $1.1 }, weights.map { -$0 })
      }, constraint: excess,
      bounds: weights.map { _ in 0...1 }
    ).solution(from: weights.map { _ in 1 })
  }

  /// `min Σ w e / x`, with the part `e` of the cost that goes with a set; solved in `log x`, where it is convex.
  func inverse(_ weights: [Double]) -> [Double]? {
    let whole = weights.map { _ in 1.0 }
    let parts = zip(weights, cost.gradient(at: whole)).map { $0 * max(0, $1) }
    let sum = parts.reduce(0, +)
    guard sum > 0 else { return whole }
    return SequentialProgram(
      objective: { logarithms in
        let terms = zip(parts, logarithms).map { $0 * exp(-$1) / sum }
        return (terms.reduce(0, +), terms.map { -$0 })
      },
      constraint: { logarithms in
        let shares = logarithms.map(exp)
        let value = max(cost.value(at: shares), .leastNormalMagnitude)
        return (
          log(value / budget), zip(cost.gradient(at: shares), shares).map { $0 * $1 / value }
        )
      },
      // Sets that the cost does not ask about stay as they are.
      bounds: zip(least, parts).map { ($1 > 0 ? log($0) : 0)...0 }
    ).solution(from: whole.map { _ in 0 })?.map(exp)
  }
}
