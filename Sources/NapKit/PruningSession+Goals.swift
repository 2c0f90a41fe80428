import Foundation
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
}

// MARK: A given size
extension PruningSession {
  /// Channels go in some rounds, each removing the same share of what is there, with the curvature
  /// collected anew; then the network is trained.
  func pruneChannels(_ cost: Cost, keeping share: Double) throws -> PruningOutcome {
    let whole = try CostModel(original).value(cost)
    let smallest = UnitSelection.smallest(try PruningModel(original), cost)
    let target = Int((share * Double(whole)).rounded(.down))
    guard smallest <= target else {
      throw UsageError(
        String(
          format:
            "keeping %g of the %@ is impossible: with one channel left everywhere, %.4f are needed",
          share, cost.rawValue, Double(smallest) / Double(whole)))
    }
    var state = State(graph: original)
    let rounds = try rounds(Self.channelRounds)
    for round in 1...rounds {
      let level = pow(share, Double(round) / Double(rounds))
      let next = round == rounds ? target : Int(level * Double(whole))
      state = try cut(state, cost: cost, downTo: next, round: round)
    }
    let epochs = settings.epochs ?? Self.defaultEpochs
    return PruningOutcome(state: try recovered(state, recipe: recipe(epochs: epochs), data: all))
  }

  /// Weights go gradually while the network is trained, by a cubic schedule over the first part of
  /// the run; or in some rounds without training.
  func pruneWeights(sparsity: Double) throws -> PruningOutcome {
    let epochs = settings.epochs ?? Self.sparseEpochs
    var state = State(graph: original)
    let wanted = try rounds(2 * Self.channelRounds)
    guard epochs > 0 else {
      for round in 1...wanted {
        let level = cubicSchedule(Double(round) / Double(wanted), target: sparsity)
        state = try thin(state, toDensity: 1 - level, round: round)
      }
      return PruningOutcome(state: state)
    }
    let recipe = sparseRecipe(epochs: epochs)
    let run = try TrainingRun(
      original, data: all, preset: preset, recipe: recipe, teacher: original)
    let rounds = min(run.steps, max(2, wanted))
    let lastStep = Int(Self.pruningShare * Double(run.steps))
    var round = 0
    try keepingLastGood(run) {
      while true {
        if round < rounds, run.step >= lastStep * round / max(1, rounds - 1) {
          round += 1
          let level = cubicSchedule(Double(round) / Double(rounds), target: sparsity)
          state.graph = run.parameters.graph
          state = try thin(state, toDensity: 1 - level, round: round, refreshingStatistics: false)
          take(state, into: run)
          try progress(
            WorkProgress(
              stage: "training",
              message: String(format: "%.1f %% of the weights are zero", 100 * level)))
        }
        guard let report = try run.next() else { break }
        try progress(WorkProgress(report, recipe, stage: "training"))
      }
    }
    state.graph = run.parameters.graph
    return PruningOutcome(state: state)
  }

  private static let channelRounds = 4

  /// As many rounds as are wanted, or as can be afforded: large networks would spend hours on
  /// curvature.
  private func rounds(_ wanted: Int) throws -> Int {
    if let chosen = settings.rounds { return chosen * wanted / Self.channelRounds }
    let macs = Double(try CostModel(original).macs) * Double(curvatureImages)
    return min(wanted, max(1, Int(Self.curvatureMACs / max(1, macs))))
  }

  /// MACs of the images that all curvature is collected from, forward, at most: some minutes.
  private static let curvatureMACs = 1e13

  /// Lets a running training go on with thinned weights.
  private func take(_ state: State, into run: TrainingRun) {
    for (value, tensor) in state.graph.constants where run.parameters.contains(value) {
      run.parameters.set(value, tensor)
    }
    for (weight, mask) in state.masks { run.optimizer.setMask(mask, of: weight) }
  }

  /// Epochs of fine-tuning where the user gives none.
  private static let defaultEpochs = 12
  /// The same, where single weights go while the network is trained.
  private static let sparseEpochs = 15
  /// The part of a gradual run in which weights are removed; 0.25 gave the same accuracy.
  private static let pruningShare = 0.6
}

// MARK: A given loss of accuracy
extension PruningSession {
  /// Prunes step by step while the accuracy on held-out images allows it: first without training,
  /// then with some in between; the last good network gets the rest of the training.
  func prune(losingAtMost allowedDrop: Double) throws -> PruningOutcome {
    let budget = settings.epochs ?? Self.defaultEpochs
    let judge = try Judge(self)
    let search = StepwiseDescent(
      factor: settings.granularity == .channels ? 0.88 : 0.7, allowedDrop: allowedDrop)
    var outcome = PruningOutcome(state: State(graph: original))
    var trials: [Trial] = []
    var spent = 0
    while let level = search.next(after: trials) {
      var candidate = try shrunk(outcome.state, toLevel: level, round: trials.count + 1)
      var drop = try judge.drop(candidate.graph)
      if drop > allowedDrop, spent + Self.recoveryEpochs <= budget / 2 {
        // On all images: the original has learned the held-out ones too, and would win on them
        // against a network that has not.
        candidate = try recovered(
          candidate, recipe: recipe(epochs: Self.recoveryEpochs), data: all)
        spent += Self.recoveryEpochs
        drop = try judge.drop(candidate.graph)
      }
      let trial = Trial(level: level, drop: drop)
      trials.append(trial)
      let verdict = search.accepts(trial) ? "kept" : "too much"
      try progress(
        WorkProgress(
          stage: "searching",
          message: String(format: "%.1f %% left: %+.2f points, %@", 100 * level, -drop, verdict)))
      guard search.accepts(trial) else { continue }
      outcome.state = candidate
      outcome.curve.append(try point(candidate.graph, accuracy: judge.baseline - drop))
    }
    guard trials.contains(where: search.accepts) else { return outcome }
    outcome.state = try recovered(
      outcome.state, recipe: recipe(epochs: budget - spent), data: all)
    return outcome
  }

  /// Epochs of training between two steps of the search.
  private static let recoveryEpochs = 2

  private func shrunk(_ state: State, toLevel level: Double, round: Int) throws -> State {
    switch settings.granularity {
    case .channels:
      let whole = try CostModel(original).macs
      return try cut(state, cost: .macs, downTo: Int(level * Double(whole)), round: round)
    case .weights: return try thin(state, toDensity: level, round: round)
    }
  }

  private func point(_ graph: Graph, accuracy: Double) throws -> PruningReport.Point {
    let (before, after) = (Network(original), Network(graph))
    return PruningReport.Point(
      macs: Double(after.macs) / Double(max(1, before.macs)),
      parameters: Double(after.nonzeroParameters) / Double(max(1, before.parameters)),
      accuracy: accuracy)
  }
}

/// Measures what a network has lost, on blends of held-out images.
///
/// The original was trained on the held-out images too and knows nearly all of them by heart, so the
/// blend is made just strong enough that it errs about as often as networks do on new images.
private struct Judge {
  let session: PruningSession
  let data: MixedDataset
  /// Accuracy of the original, in percent.
  let baseline: Double

  private static let shares = [0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]
  private static let repeats = 2
  /// Of clean held-out accuracy, at most this much is to be left, in percent.
  private static let hardness = 95.0

  init(_ session: PruningSession) throws {
    self.session = session
    var found: (MixedDataset, Double)?
    // Without labels, the original agrees with itself on every image.
    for share in session.validation.isLabelled ? Self.shares : [0] {
      let data = MixedDataset(
        session.validation, share: share, repeats: share == 0 ? 1 : Self.repeats, seed: session.seed
      )
      let accuracy = try session.accuracy(of: session.original, on: data)
      found = (data, accuracy)
      if accuracy < Self.hardness { break }
    }
    guard let (data, baseline) = found else { preconditionFailure("there are shares to try") }
    self.data = data
    self.baseline = baseline
  }

  /// In percentage points.
  func drop(_ graph: Graph) throws -> Double {
    baseline - (try session.accuracy(of: graph, on: data))
  }
}
