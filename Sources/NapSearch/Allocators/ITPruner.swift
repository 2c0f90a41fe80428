import Foundation
import NapKernels

/// Keeps more of layers whose features resemble those of the others less.
///
/// Importance `w_i = exp(−β r_i)`, with the share `r_i` of a set in all similarities `Σ_{j≠i} nHSIC(i, j)`.
///
/// As published (`linear`): `max Σ w_i x_i` in the shares `x` that are kept, under the budget of a bilinear cost, with
/// a β from the user. That has many solutions, some of which leave a layer nothing.
///
/// The default (`inverse`): `min Σ w_i e_i / x_i` with the part `e_i` of the cost that goes with a set. In logarithms
/// of widths that is convex, so there is one solution; no layer is at its floor, and `β = 0` is the same share for all.
/// (Logarithms `Σ w_i e_i log x_i` leave residual networks ties: half of a stream is worth what half of all that
/// reads it is.) β is in standard deviations of `r`, and the best of some by held-out loss of the compensated network;
/// similarities are unbiased.
///
/// - Source: Zheng et al. 2021, arXiv:2108.08532.
package struct ITPruner: Allocator {
  package static let name = "itpruner"
  package static let summary = "more of layers that resemble the others less (ITPruner)"
  package static let variants: [(name: String, summary: String)] = [
    (name: "inverse", summary: "inverses of widths: one solution, beta found by itself"),
    (name: "linear", summary: "as published; --beta is of its authors' scale, 231 by default"),
  ]

  private let isLinear: Bool
  private let beta: Double?

  package init(variant: String, _ settings: AllocatorSettings) {
    isLinear = variant == "linear"
    beta = settings.beta ?? (isLinear ? Self.publishedBeta : nil)
  }

  package var candidates: Int { isLinear || beta != nil ? 0 : Self.betas.count }

  package func widths(for problem: AllocationProblem) throws -> [Int] {
    guard !isLinear else { return try linear(problem) }
    let widths = try Self.inverse(problem)
    if let beta { return try widths(beta) }
    var best: (widths: [Int], loss: Double)?
    for (index, beta) in Self.betas.enumerated() {
      let candidate = try widths(beta)
      let loss = try problem.evidence.score(candidate, weights: .compensated).loss
      try problem.evidence.report(
        String(format: "beta %g: held-out loss %.4g", beta, loss), step: index + 1,
        of: Self.betas.count)
      if loss < best?.loss ?? .infinity { best = (candidate, loss) }
    }
    return try best?.widths ?? widths(0)
  }

  private func linear(_ problem: AllocationProblem) throws -> [Int] {
    let redundancy = try Self.redundancy(in: problem, by: .biased)
    let weights = Self.importance(redundancy, beta ?? Self.publishedBeta)
    guard let shares = Self.program(problem).linear(weights) else { throw AllocationError() }
    return try problem.fitted(shares)
  }

  /// The default's widths for any β; similarities are computed once.
  static func inverse(_ problem: AllocationProblem) throws -> (_ beta: Double) throws -> [Int] {
    let program = program(problem)
    let deviations = standardized(try redundancy(in: problem, by: .unbiased))
    return { beta in
      guard let shares = program.inverse(importance(deviations, beta)) else {
        throw AllocationError()
      }
      return try problem.fitted(shares)
    }
  }

  private static func redundancy(in problem: AllocationProblem, by estimator: NormalizedHSIC) throws
    -> [Double]
  {
    let similarity = estimator.matrix(of: try problem.evidence.grams())
    problem.evidence.keep(similarity: similarity)
    return redundancy(similarity)
  }

  private static func program(_ problem: AllocationProblem) -> WidthProgram {
    let space = problem.space
    return WidthProgram(
      cost: QuadraticCost(space),
      budget: Double(problem.budget) / Double(max(1, space.cost(of: space.full))),
      least: zip(space.least, space.full).map { Double($0) / Double($1) })
  }

  /// Of VGG-16 in the publication.
  private static let publishedBeta = 231.0
  /// In standard deviations, of either sign: what all layers resemble may be what all of them need, as the stream of
  /// a residual network is. 0 is the same share for all.
  static let betas = [-1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1]

  /// The share of every set in all similarities.
  static func redundancy(_ similarity: Matrix) -> [Double] {
    let sums = (0..<similarity.rows).map { i in
      (0..<similarity.columns).reduce(0) { $1 == i ? $0 : $0 + similarity[i, $1] }
    }
    let sum = sums.reduce(0, +)
    return sums.map { sum > 0 ? $0 / sum : 1 / Double(sums.count) }
  }

  /// `exp(−β r)`, the largest 1.
  static func importance(_ redundancy: [Double], _ beta: Double) -> [Double] {
    let exponents = redundancy.map { -beta * $0 }
    let largest = exponents.max() ?? 0
    return exponents.map { exp($0 - largest) }
  }

  private static func standardized(_ values: [Double]) -> [Double] {
    let mean = values.reduce(0, +) / Double(max(1, values.count))
    let variance =
      values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, values.count))
    return values.map { variance > 0 ? ($0 - mean) / variance.squareRoot() : 0 }
  }
}
