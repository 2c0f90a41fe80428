import Foundation
import NapTensor

/// Evolution of widths: candidates are evaluated with weights that need no training of their own, the best of them
/// are crossed and mutated, and whatever costs too much is made smaller instead of being thrown away.
///
/// As published: 50 candidates a generation, the ten best as parents, genes mutated with probability 0.1, the weights
/// from a network that generates them for any widths (`pruning-net`). The default (`compensated`) takes the trained
/// network's own weights, without the units that the criterion keeps least and with the others making up for them;
/// `shared` trains one set of weights under many widths. The first generation holds the same share of every set, NAP's
/// widths and ITPruner's; some candidates are of other budgets, so that one search gives the front of cost against loss.
///
/// - Source: Liu et al. 2019, arXiv:1903.10258; Yu & Huang 2019 (shared weights), arXiv:1903.05134.
package struct MetaPruning: Allocator {
  package static let name = "metapruning"
  package static let summary = "evolution of widths, each tried before it is trained (MetaPruning)"
  package static let variants: [(name: String, summary: String)] = WeightSource.allCases.map {
    ($0.rawValue, $0.summary)
  }

  private let source: WeightSource
  package let candidates: Int

  package init(variant: String, _ settings: AllocatorSettings) {
    source = WeightSource(rawValue: variant) ?? .compensated
    candidates = settings.candidates
  }

  package func widths(for problem: AllocationProblem) throws -> [Int] {
    let seeds = try Self.seeds(for: problem)
    try problem.evidence.prepare(source)
    let evolution = try problem.evidence.loop("searching widths", from: Evolution(queue: seeds)) {
      evolution in
      guard evolution.evaluated.count < candidates else { return false }
      if evolution.queue.isEmpty { evolution.breed(for: problem) }
      // Nothing is left that has not been tried.
      guard !evolution.queue.isEmpty else { return false }
      let widths = evolution.queue.removeFirst()
      evolution.evaluated.append(
        ScoredWidths(
          widths: widths, score: try problem.evidence.score(widths, weights: source)))
      try problem.evidence.report(
        Self.message(evolution, problem), step: evolution.evaluated.count, of: candidates)
      return true
    }
    problem.evidence.keep(front: evolution.front)
    guard let best = evolution.best(within: problem.budget, 1).first else {
      throw AllocationError()
    }
    return best.widths
  }

  /// Widths that may be good: the same share of every set, what NAP's ranking leaves, and ITPruner's, which are
  /// tried for some β instead of choosing one.
  private static func seeds(for problem: AllocationProblem) throws -> [[Int]] {
    let known =
      [
        try problem.scaled(problem.space.full.map { _ in 1 }),
        try problem.evidence.rankedWidths(downTo: problem.budget),
      ] + (try ITPruner.betas.map(ITPruner.inverse(problem)))
    var seen: Set<[Int]> = []
    return known.filter { problem.space.cost(of: $0) <= problem.budget && seen.insert($0).inserted }
  }

  private static func message(_ evolution: Evolution, _ problem: AllocationProblem) -> String? {
    guard evolution.queue.isEmpty, let best = evolution.best(within: problem.budget, 1).first else {
      return nil
    }
    return String(
      format: "%ld candidates: the best within the budget has a held-out loss of %.4g",
      evolution.evaluated.count, best.score.loss)
  }
}

/// Where the weights of a candidate come from.
package enum WeightSource: String, Sendable, CaseIterable {
  case compensated
  case shared
  case pruningNet = "pruning-net"

  package var summary: String {
    switch self {
    case .compensated: "the trained weights, compensated; nothing is trained"
    case .shared: "one set of weights, trained under many widths"
    case .pruningNet: "weights that a network generates for any widths, as published"
    }
  }
}

/// What an evolution of widths has come to.
struct Evolution: Codable {
  var evaluated: [ScoredWidths] = []
  /// What is to be evaluated next.
  var queue: [[Int]]
  private var generation = 0

  init(queue: [[Int]]) { self.queue = queue }

  /// The best that cost no more than a budget.
  func best(within budget: Int, _ count: Int) -> [ScoredWidths] {
    evaluated.enumerated().filter { $0.element.score.cost <= budget }
      .sorted { ($0.element.score.loss, $0.offset) < ($1.element.score.loss, $1.offset) }
      .prefix(count).map(\.element)
  }

  /// Those that no other one beats in both cost and loss, by cost.
  var front: [ScoredWidths] {
    var (front, least) = ([ScoredWidths](), Double.infinity)
    for one in evaluated.sorted(by: {
      ($0.score.cost, $0.score.loss) < ($1.score.cost, $1.score.loss)
    })
    where one.score.loss < least {
      front.append(one)
      least = one.score.loss
    }
    return front
  }

  /// The next generation: children of the best, or random ones, made to fit a budget.
  mutating func breed(for problem: AllocationProblem) {
    generation += 1
    var random = problem.seed.derived("evolution").derived(generation).generator()
    let (space, whole) = (problem.space, problem.space.cost(of: problem.space.full))
    var known = Set(evaluated.map(\.widths))
    let parents = best(within: problem.budget, Self.parents).map(\.widths)
    var children: [[Int]] = []
    var tries = 0
    while children.count < Self.population, tries < 5 * Self.population {
      tries += 1
      var budget = problem.budget
      var shares: [Double]
      switch (parents.isEmpty || evaluated.count < Self.population, tries % 4) {
      case (true, _):
        shares = space.full.map { _ in Self.leastShare + (1 - Self.leastShare) * random.share() }
      case (false, 0), (false, 1): shares = mutated(parents.element(&random), space, &random)
      case (false, 2):
        let (a, b) = (parents.element(&random), parents.element(&random))
        shares = space.full.indices.map {
          Double(random.share() < 0.5 ? a[$0] : b[$0]) / Double(space.full[$0])
        }
      default:
        // Of another budget, for the front.
        let factor = pow(Double(whole) / Double(max(1, problem.budget)), random.share())
        budget = Int(Double(problem.budget) * factor)
        shares = mutated(parents.element(&random), space, &random)
      }
      shares = shares.map { min(max($0, 1e-3), 1) }
      guard let child = space.scaled(shares, to: budget), known.insert(child).inserted else {
        continue
      }
      children.append(child)
    }
    queue = children
  }

  private func mutated(_ widths: [Int], _ space: WidthSpace, _ random: inout SplitMix64) -> [Double]
  {
    widths.indices.map { set in
      random.share() < Self.mutation
        ? Self.leastShare + (1 - Self.leastShare) * random.share()
        : Double(widths[set]) / Double(space.full[set])
    }
  }

  private static let population = 50
  private static let parents = 10
  private static let mutation = 0.1
  /// Of random widths, as published.
  private static let leastShare = 0.1
}

extension SplitMix64 {
  /// In `0..<1`.
  fileprivate mutating func share() -> Double { Double(uniform()) }
}

extension Array {
  /// One of the elements; of an empty array there is none.
  fileprivate func element(_ random: inout SplitMix64) -> Element {
    self[Swift.min(count - 1, Int(random.share() * Double(count)))]
  }
}
