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
  /// The network as the job's criterion sees it, once it is asked for.
  private var model: PruningModel?
  private var scores: [[Int]: CandidateScore] = [:]

  init(_ session: PruningSession, _ graph: Graph, _ space: WidthSpace) {
    (self.session, self.graph, self.space) = (session, graph, space)
  }

  /// Images that a candidate's statistics are estimated from.
  private static let candidateImages = 1024

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

  func score(_ widths: [Int]) throws -> CandidateScore {
    if let known = scores[widths] { return known }
    let candidate = try compensated(widths)
    let refreshed = try session.withFreshStatistics(
      candidate, images: Self.candidateImages, isCandidate: true)
    let score = CandidateScore(
      loss: try session.watch?.loss(of: refreshed) ?? .infinity, cost: space.cost(of: widths))
    scores[widths] = score
    return score
  }

  /// The network with the units that the criterion keeps at some widths, the others made up for.
  private func compensated(_ widths: [Int]) throws -> Graph {
    let model = try model ?? session.model(of: graph, round: 0)
    self.model = model
    let copy = model.copy()
    var selection = UnitSelection(
      copy, criterion: session.criterion.init(), cost: space.cost,
      keeping: space.goals(of: widths))
    while selection.removeNext() {}
    return try copy.results().cut
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

  func report(_ message: String, step: Int?, of steps: Int?) throws {
    var event = WorkProgress(stage: "choosing widths", message: message)
    if let step, let steps { (event.step, event.steps) = (step, steps) }
    try session.progress(event)
  }

  func keep(similarity: Matrix) {}
}
