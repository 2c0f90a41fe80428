import Foundation
import NapCurvature
import NapData
import NapEngine
import NapGraph
import NapPruning
import NapReport
import NapSearch
import NapTensor
import NapTraining

/// A pruned network and the points on the way to it.
struct PruningOutcome {
  var state: PruningSession.State
  var curve: [PruningReport.Point] = []
  /// Where an allocator has decided on widths.
  var allocation: AllocationReport?
  /// Of a network with gates: the share of the multiply-accumulates that held-out examples cost in the mean.
  var meanMACs: Double?
}

/// The way of a network to a share of what it costs.
private struct Descent {
  let share: Double
  /// What the original costs.
  private(set) var whole: Int
  /// What the network has of it.
  private(set) var level = 1.0

  init(to share: Double, of whole: Int) {
    (self.share, self.whole) = (share, whole)
  }

  var target: Int { Int((share * Double(whole)).rounded(.down)) }

  /// What the next of some rounds goes down to: all take the same share of what is there.
  mutating func next(of rounds: Int) -> Int {
    level *= pow(share / level, 1 / Double(rounds))
    return rounds == 1 ? target : Int(level * Double(whole))
  }

  /// Takes note of what the network has come to, and what that is in the table for the next round, which was made
  /// at another time than the one before.
  mutating func has(_ level: Double, counted now: Int) {
    self.level = level
    whole = Int(Double(now) / level)
  }
}

/// What single weights are thinned to.
enum Thinning: Hashable, Codable {
  /// A share of all weights, the others zero.
  case density(Double)
  case pattern(WeightPattern)
}

// MARK: A given size
extension PruningSession {
  /// Channels go in some rounds, each removing the same share of what is there, with the curvature
  /// collected anew; then the network is trained.
  func pruneChannels(_ cost: Cost, keeping share: Double) throws -> PruningOutcome {
    let recipe = recipe(length(epochs: Self.defaultEpochs))
    var (outcome, forecast) = try narrowed(cost, keeping: share, training: recipe)
    // What is left of a given time is known only now.
    outcome.state = try foretelling(forecast).recovered(
      outcome.state,
      recipe: budget == nil ? recipe : self.recipe(length(epochs: Self.defaultEpochs)))
    return outcome
  }

  /// The network without channels, before it is trained.
  ///
  /// - Parameter recipe: how it will be.
  func narrowed(_ cost: Cost, keeping share: Double, training recipe: TrainingRecipe) throws
    -> (outcome: PruningOutcome, forecast: Forecast?)
  {
    let start = try timing(original, cost)
    var descent = Descent(
      to: share, of: try CostModel(original, latencies: start.latencies).value(cost))
    try start.checkReach(of: descent, cost)
    var (round, left) = (0, try channelRounds())
    let forecast = try forecast(
      candidates: allocator?.candidates ?? 0, rounds: left, training: recipe, share: share)
    let widths = try start.foretelling(forecast).widths(of: original, cost, downTo: descent.target)
    var outcome = PruningOutcome(state: State(graph: original), allocation: widths?.report)
    var session = start
    let mostRounds = left + Self.corrections
    while left > 0 {
      round += 1
      let next = descent.next(of: left)
      forecast?.beginRound()
      let seconds = try journal.timed {
        outcome.state = try session.part(round, of: round + left - 1, forecast).cut(
          outcome.state, cost: cost, downTo: next,
          keeping: widths?.halfway(part: round, of: round + left - 1), round: round)
      }
      left = min(left - 1, budget?.affordable(seconds) ?? left)
      forecast?.endRound(taking: seconds)
      guard isMeasured(cost), widths == nil else { continue }
      let times = try costs(of: [original, outcome.state.graph], cost)
      let level = times[1] / times[0]
      if left == 0, level > Self.accepted * share, round < mostRounds { left = 1 }
      if left > 0, level <= share { left = 0 }
      guard left > 0 else { break }
      // What layers of the new widths really take is known only now.
      session = try timing(outcome.state.graph, cost)
      descent.has(
        level, counted: try CostModel(outcome.state.graph, latencies: session.latencies).value(cost))
    }
    let reached = try CostModel(outcome.state.graph, latencies: session.latencies).value(cost)
    guard isMeasured(cost) || reached <= descent.target else {
      throw UsageError(
        String(
          format: "no more channels can go, but %.4f of the %@ are left",
          Double(reached) / Double(descent.whole), cost.rawValue),
        recovery: "ask for less, or give a smaller --round")
    }
    return (outcome, forecast)
  }

  /// - Throws: `UsageError` where not even the smallest network is as small as that.
  private func checkReach(of descent: Descent, _ cost: Cost) throws {
    let smallest = UnitSelection.smallest(
      try PruningModel(original, latencies: latencies), cost, rounding: settings.rounding,
      removingBranches: removesBranches(for: cost))
    guard smallest > descent.target else { return }
    let least = settings.multiple ?? 1
    throw UsageError(
      String(
        format:
          "keeping %g of the %@ is impossible: with %@ left everywhere, %.4f are needed",
        descent.share, cost.rawValue,
        least == 1 ? "one channel" : "\(least) channels",
        Double(smallest) / Double(descent.whole)),
      recovery: least == 1 ? nil : "ask for less, or give a smaller --round")
  }

  /// Rounds that may follow where the time of what was cut is not what was foretold.
  private static let corrections = 2
  /// What is measured of a time may be so many times what it is to be.
  private static let accepted = 1.02

  /// The same, with a table of how long layers take as wide as they are in a network, and narrower.
  private func timing(_ graph: Graph, _ cost: Cost) throws -> PruningSession {
    guard isMeasured(cost) else { return self }
    var result = self
    result.latencies = try journal.step("timing layers") {
      try Latency(
        measuring: finished(graph), batchSize: settings.latencyBatch, progress: progress
      ).table
    }
    return result
  }

  /// What networks cost, each as a whole; times by the table there is, or measured.
  func costs(of graphs: [Graph], _ cost: Cost) throws -> [Double] {
    guard isMeasured(cost) else {
      return try graphs.map { Double(try CostModel($0, latencies: latencies).value(cost)) }
    }
    return try journal.step("timing networks") {
      try Latency.measured(graphs.map(finished), batchSize: settings.latencyBatch).map(\.median)
    }
  }

  /// Weights go gradually while the network is trained, over the first part of the run; or in some
  /// rounds without training.
  func pruneWeights(_ goal: Thinning) throws -> PruningOutcome {
    let length = length(epochs: Self.sparseEpochs)
    let (levels, recipe) = (try levels(to: goal), sparseRecipe(length))
    let forecast = try forecast(
      rounds: levels.count, training: recipe, share: 1, isTried: false)
    guard length.isEmpty else {
      return try foretelling(forecast).thinGradually(levels, recipe, forecast)
    }
    var state = State(graph: original)
    for (round, level) in levels.enumerated() {
      forecast?.beginRound()
      let seconds = try journal.timed {
        state = try part(round + 1, of: levels.count, forecast).thin(
          state, to: level, round: round + 1)
      }
      forecast?.endRound(taking: seconds)
    }
    return PruningOutcome(state: state)
  }

  private func thinGradually(
    _ levels: [Thinning], _ recipe: TrainingRecipe, _ forecast: Forecast?
  ) throws -> PruningOutcome {
    PruningOutcome(
      state: try journal.step(Self.thinning, saving: GradualTraining.self) { loop in
        var (state, levels) = (State(graph: original), levels)
        let run = try TrainingRun(
          original, data: trainable, preset: preset, recipe: recipe, teacher: teacher,
          outputs: outputs)
        var round = 0
        // Of the networks that have lost all they are to lose.
        var best: Best?
        if let restored = loop.restored {
          (state, levels, round) = (restored.state, restored.levels, restored.round)
          best = restored.best.map { Best($0, watch) }
          take(state, into: run)
          run.restore(restored.run)
        } else {
          try announce(run, stage: Self.thinning)
        }
        func thinned() throws -> State {
          state.graph = run.parameters.graph
          return try thin(
            state, to: levels[round - 1], round: round, refreshingStatistics: false)
        }
        try WorkStopped.keeping({ Network(best?.found.graph ?? run.parameters.graph) }) {
          while true {
            let share = Self.pruningShare * Double(round) / Double(max(1, levels.count - 1))
            if round < levels.count, run.progress >= share {
              round += 1
              forecast?.beginRound(left: levels.count - round + 1)
              let seconds = try journal.timed {
                do {
                  state = try thinned()
                } catch let error as NotFinite {
                  try retreat(run, from: error, stage: Self.thinning)
                  state = try thinned()
                }
              }
              forecast?.endRound(taking: seconds)
              take(state, into: run)
              if round == levels.count { best = try Best(state.graph, watch) }
              try progress(
                WorkProgress(stage: Self.thinning, message: levels[round - 1].description))
              if let budget, round == 1 {
                levels = [levels[0]] + levels.dropFirst().spread(over: budget.affordable(seconds))
              }
            }
            guard let report = try step(run) else { break }
            if report.endsEpoch { try best?.consider(run) }
            try loop.end(
              GradualTraining(
                run: run.state, state: state, levels: levels, round: round, best: best?.found)
            ) {
              try progress(WorkProgress(report, of: run, stage: Self.thinning))
            }
          }
          try best?.consider(run)
        }
        state.graph = best?.found.graph ?? run.parameters.graph
        return state
      })
  }

  /// Between two steps of a training while single weights go.
  private struct GradualTraining: Codable {
    var run: TrainingRun.State
    var state: State
    var levels: [Thinning]
    var round: Int
    var best: Best.Found?
  }

  /// The steps to a goal: by a cubic schedule, or one weight of every group at a time.
  private func levels(to goal: Thinning) throws -> [Thinning] {
    switch goal {
    case .density(let density):
      let rounds = max(settings.isOneShot ? 1 : 2, try rounds(2 * Self.channelRounds))
      return (1...rounds).map {
        .density(1 - cubicSchedule(Double($0) / Double(rounds), target: 1 - density))
      }
    case .pattern(let pattern):
      return (pattern.kept..<pattern.size).reversed().map {
        .pattern(WeightPattern(kept: $0, of: pattern.size))
      }
    }
  }

  private static let channelRounds = 4

  /// Rounds in which channels are cut.
  func channelRounds() throws -> Int { try rounds(Self.channelRounds) }

  /// As many rounds as are wanted, or as can be afforded: large networks would spend hours on
  /// curvature.
  private func rounds(_ wanted: Int) throws -> Int {
    if let chosen = settings.rounds { return chosen * wanted / Self.channelRounds }
    return min(wanted, max(1, Int(Self.curvatureMACs / max(1, try roundMACs()))))
  }

  /// MACs of a round: forward passes, removals that are tried, inverses, and what makes up for single
  /// weights.
  private func roundMACs() throws -> Double {
    let steps = settings.granularity == .channels ? 0 : LayerModel.refinementSteps
    let shapes = try original.shapes(batch: 1)
    var sum = Double(try CostModel(original).macs) * Double(curvatureImages)
    let layers = original.affineLayers(shapes: shapes).map(\.shape)
    if settings.granularity == .channels, criterion.evidence.contains(.removals) {
      let operations = layers.reduce(0) { $0 + $1.removalOperations }
      sum += operations * Double(removalImages(operations)) / 2
    }
    for shape in layers {
      let outputs = Double(shape.outputs)
      let inputs = shape.blocks(upTo: settings.largestFactor).map { Double($0.count) }
      let products = Double(steps) * outputs
      sum +=
        Double(shape.groups) * inputs.reduce(pow(outputs, 3)) { $0 + ($1 + products) * $1 * $1 }
    }
    return sum
  }

  /// MACs of all rounds at most, forward passes and linear algebra: some minutes.
  private static let curvatureMACs = 1.2e13

  /// Lets a running training go on with thinned weights.
  private func take(_ state: State, into run: TrainingRun) {
    for (value, tensor) in state.graph.constants where run.parameters.contains(value) {
      run.parameters.set(value, tensor)
    }
    for (weight, mask) in state.masks { run.optimizer.setMask(mask.isKept, of: weight) }
  }

  /// Epochs of fine-tuning where the user gives none.
  static let defaultEpochs = 12
  /// The same, where single weights go while the network is trained.
  private static let sparseEpochs = 16
  /// The part of a gradual run in which weights are removed; 0.25 gave the same accuracy.
  private static let pruningShare = 0.6
}

extension Thinning: CustomStringConvertible {
  var description: String {
    switch self {
    case .density(let density):
      String(format: "%.1f %% of the weights are zero", 100 * (1 - density))
    case .pattern(let pattern): "\(pattern) weights are kept"
    }
  }
}

extension Collection {
  /// At most `count` elements at even distances, the last one always among them.
  fileprivate func spread(over count: Int) -> [Element] {
    let all = Array(self)
    guard all.count > Swift.max(1, count) else { return all }
    return (1...Swift.max(1, count)).map { all[all.count * $0 / Swift.max(1, count) - 1] }
  }
}
