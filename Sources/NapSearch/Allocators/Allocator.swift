import Foundation
package import NapKernels
package import NapTensor

/// Decides how wide every set of units is; which units of a set go is a criterion's matter.
package protocol Allocator: Sendable {
  /// The name after `--allocator`, and in the report.
  static var name: String { get }
  /// One sentence for `--help`.
  static var summary: String { get }
  /// Ways in which it may be done, `--allocator NAME:VARIANT`; the first where none is named.
  static var variants: [(name: String, summary: String)] { get }

  /// - Parameter variant: one of `variants`, if there are any.
  init(variant: String, _ settings: AllocatorSettings)

  /// How many networks it evaluates at most.
  var candidates: Int { get }

  /// Widths whose cost is no more than the budget.
  ///
  /// - Throws: what the network's evidence throws; `AllocationError` where no widths are so small.
  func widths(for problem: AllocationProblem) throws -> [Int]
}

extension Allocator {
  package var candidates: Int { 0 }
}

/// What users may say to allocators; each takes what concerns it.
package struct AllocatorSettings: Sendable, Hashable, Codable {
  /// How much a layer that resembles the others counts less, see `ITPruner`; `nil` leaves it to nap.
  package var beta: Double?
  /// How many candidates a search evaluates, see `MetaPruning`.
  package var candidates = 1000

  package init() {}
}

/// What is to be decided, and by what.
package struct AllocationProblem {
  package let space: WidthSpace
  /// The most that the network may cost.
  package let budget: Int
  package let seed: Seed
  /// What must be found out about the network, at the time it is asked for.
  package let evidence: any AllocationEvidence

  package init(
    space: WidthSpace, budget: Int, seed: Seed, evidence: any AllocationEvidence
  ) {
    (self.space, self.budget, self.seed, self.evidence) = (space, budget, seed, evidence)
  }

  /// The widths in proportion to some shares that cost no more than the budget.
  package func scaled(_ shares: [Double]) throws(AllocationError) -> [Int] {
    guard let widths = space.scaled(shares, to: budget) else { throw AllocationError() }
    return widths
  }

  /// The allowed widths next to some shares that cost no more than the budget.
  package func fitted(_ shares: [Double]) throws(AllocationError) -> [Int] {
    guard let widths = space.fitted(space.widths(ofShares: shares), to: budget) else {
      throw AllocationError()
    }
    return widths
  }
}

/// No widths are so small as was asked for.
package struct AllocationError: NapError {
  package var problem: String { "no widths are so small" }
  package var recovery: String? { "ask for less, or give a smaller --round" }
  package var isFinal: Bool { true }
  package init() {}
}

/// What a network of some widths is worth before it is trained.
package struct CandidateScore: Sendable, Hashable, Codable {
  /// Nats per example on held-out images; infinite where outputs are no numbers.
  package var loss: Double
  /// What the network costs.
  package var cost: Int

  package init(loss: Double, cost: Int) { (self.loss, self.cost) = (loss, cost) }
}

/// Widths that have been tried.
package struct ScoredWidths: Sendable, Hashable, Codable {
  package var widths: [Int]
  package var score: CandidateScore
}

/// What allocators find out about a network, on training images.
package protocol AllocationEvidence {
  /// `X Xᵀ` of what every set's channels say of some images, one row of `X` an image; by set.
  func grams() throws -> [Matrix]

  /// How many units of every set do the same: the sizes of clusters, without units that never fire.
  func clusterSizes() throws -> [[Int]]

  /// The widths that NAP's ranking of all units leaves.
  func rankedWidths(downTo budget: Int) throws -> [Int]

  /// Trains what weights need that are not the network's own; without it, the first score does. Loops begin after it:
  /// it is a piece of work that is kept by itself.
  func prepare(_ weights: WeightSource) throws

  /// What a network of some widths is worth, its normalizations estimated anew; the same widths are evaluated once.
  func score(_ widths: [Int], weights: WeightSource) throws -> CandidateScore

  /// Does a turn of some work after the other until one says that it was the last, so that what has been reached
  /// is not lost when the job is stopped.
  func loop<State: Codable>(
    _ name: String, from start: State, _ turn: (inout State) throws -> Bool
  ) throws -> State

  /// Tells how many candidates have been evaluated, and what has been found.
  func report(_ message: String?, step: Int, of steps: Int) throws

  /// Keeps how alike sets are for the report.
  func keep(similarity: Matrix)

  /// Keeps the networks that no other one beats in cost and loss.
  func keep(front: [ScoredWidths])
}

/// Every allocator: a new one is a file of its own and a line here.
package let allAllocators: [any Allocator.Type] = [
  NAPWidths.self,
  Uniform.self,
  ITPruner.self,
  MetaPruning.self,
  ClusterRates.self,
]
