import NapData
import NapEngine
import NapGraph
import NapKernels
import NapPruning
import NapSearch
import NapTensor
import NapTraining

/// What allocators find out about a network, see `AllocationEvidence`.
final class NetworkEvidence: AllocationEvidence {
  let session: PruningSession
  let graph: Graph
  let space: WidthSpace
  /// Made when they are asked for: some are trained first.
  private var providers: [WeightSource: any WeightProvider] = [:]
  /// What a network is worth depends on its weights, too.
  private var scores: [WeightSource: [[Int]: CandidateScore]] = [:]
  private(set) var similarity: Matrix?
  private(set) var front: [ScoredWidths]?

  init(_ session: PruningSession, _ graph: Graph, _ space: WidthSpace) {
    (self.session, self.graph, self.space) = (session, graph, space)
  }

  /// Images that a candidate's statistics are estimated from.
  private static let candidateImages = 1024
  /// Images that one takes as long as, those that it is judged by among them: statistics take half as long again
  /// as outputs.
  static let imagesOfCandidate = 2.5 * Double(candidateImages)

  // MARK: Candidates
  func rankedWidths(downTo budget: Int) throws -> [Int] {
    try session.journal.step("ranking") {
      let model = try session.model(of: graph, for: BlockLoss.self, round: 0)
      var selection = session.selection(in: model, BlockLoss(), cost: space.cost)
      try selection.remove(model, space.cost, downTo: budget)
      let gone = Set(model.removedUnits)
      return model.units.sets.map { $0.count { !gone.contains($0) } }
    }
  }

  func clusterSizes() throws -> [[Int]] {
    try session.journal.step("clusters") {
      let own = session.criterion as? any FunctionalCriterion.Type
      let model = try session.model(of: graph, for: own ?? Functionality.self, round: 0)
      return model.units.sets.map { set in
        Dictionary(grouping: set.compactMap { model.functions?.cluster(of: $0) }) { $0 }
          .sorted { $0.key < $1.key }.map(\.value.count)
      }
    }
  }

  func score(_ widths: [Int], weights: WeightSource) throws -> CandidateScore {
    if let known = scores[weights]?[widths] { return known }
    let candidate = try provider(weights).network(widths)
    let refreshed = try session.withFreshStatistics(
      candidate, images: Self.candidateImages, augment: false, stage: nil)
    let score = CandidateScore(
      loss: try session.watch?.loss(of: refreshed) ?? .infinity, cost: space.cost(of: widths))
    scores[weights, default: [:]][widths] = score
    return score
  }

  /// What the criterion says that a network of some widths loses.
  func predictedLoss(of widths: [Int]) throws -> Double {
    guard let provider = try provider(.compensated) as? CompensatedWeights else { return 0 }
    return provider.predictedLoss(of: widths)
  }

  func prepare(_ weights: WeightSource) throws { _ = try provider(weights) }

  private func provider(_ source: WeightSource) throws -> any WeightProvider {
    if let provider = providers[source] { return provider }
    let criterion = session.criterion.init()
    let model =
      try (providers[.compensated] as? CompensatedWeights)?.model
      ?? session.model(of: graph, round: 0)
    let provider: any WeightProvider
    switch source {
    case .compensated:
      provider = CompensatedWeights(model: model, criterion: criterion, space: space)
    case .shared:
      provider = try SharedWeights(
        graph, order: UnitOrder(model, criterion), full: space.full, least: space.least,
        session: session)
    case .pruningNet:
      provider = try GeneratedWeights(
        graph, order: UnitOrder(model, criterion), space: space, session: session)
    }
    providers[source] = provider
    return provider
  }

  // MARK: Work
  func loop<State: Codable>(
    _ name: String, from start: State, _ turn: (inout State) throws -> Bool
  ) throws -> State {
    try session.journal.step(name, saving: State.self) { loop in
      var state = loop.restored ?? start
      while try turn(&state) { try loop.end(state) }
      return state
    }
  }

  func report(_ message: String?, step: Int, of steps: Int) throws {
    try session.progress(
      WorkProgress(stage: PruningSession.choosing, step: step, steps: steps, message: message))
  }

  func keep(similarity: Matrix) { self.similarity = similarity }

  func keep(front: [ScoredWidths]) { self.front = front }
}
