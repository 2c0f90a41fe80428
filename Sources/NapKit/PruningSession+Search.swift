import Foundation
import NapData
import NapGraph
import NapPruning
import NapReport
import NapSearch
import NapTensor
import NapTraining

// MARK: A given loss of accuracy
extension PruningSession {
  /// Prunes step by step while the accuracy on held-out images allows it: first without training,
  /// then with some in between; the last good network gets the rest of the training.
  func prune(losingAtMost allowedDrop: Double) throws -> PruningOutcome {
    let epochs = settings.epochs ?? Self.defaultEpochs
    let judge = try Judge(self)
    let search = StepwiseDescent(
      factor: settings.granularity == .channels ? 0.88 : 0.7, allowedDrop: allowedDrop)
    var outcome = PruningOutcome(state: State(graph: original))
    var trials: [Trial] = []
    var spent = 0
    var mayRecover: Bool {
      budget.map { $0.isInFirstHalf } ?? (spent + Self.recoveryEpochs <= epochs / 2)
    }
    while let level = search.next(after: trials) {
      if let budget, !budget.isInFirstHalf, !trials.isEmpty { break }
      var candidate = try shrunk(outcome.state, toLevel: level, round: trials.count + 1)
      // Where nothing more may go, the search is over.
      if settings.granularity == .channels,
        try CostModel(candidate.graph).macs == CostModel(outcome.state.graph).macs
      {
        break
      }
      var drop = try judge.drop(candidate.graph)
      if drop > allowedDrop, mayRecover {
        // On all images: the original has learned the held-out ones too, and would win on them
        // against a network that has not.
        candidate = try recovered(
          candidate,
          recipe: recipe(budget?.part(Self.recoveryShare) ?? .epochs(Self.recoveryEpochs)),
          data: all)
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
      outcome.curve.append(try keep(candidate, accuracy: judge.baseline - drop))
    }
    guard trials.contains(where: search.accepts) else { return outcome }
    outcome.state = try recovered(
      outcome.state, recipe: recipe(budget?.rest ?? .epochs(epochs - spent)), data: all)
    return outcome
  }

  /// Epochs of training between two steps of the search.
  private static let recoveryEpochs = 2
  /// The same, as a part of the time there is.
  private static let recoveryShare = 0.05

  private func shrunk(_ state: State, toLevel level: Double, round: Int) throws -> State {
    switch settings.granularity {
    case .channels:
      let whole = try CostModel(original).macs
      return try cut(state, cost: .macs, downTo: Int(level * Double(whole)), round: round)
    case .weights, .pattern: return try thin(state, to: .density(level), round: round)
    }
  }

  /// Keeps the result in the run directory, if there is one, measured like what came before it.
  func keepResult(_ state: State) throws {
    guard directory != nil else { return }
    let judge = try Judge(self)
    _ = try keep(state, accuracy: judge.baseline - judge.drop(state.graph))
  }

  /// A point of the trade-off, with its network in the run directory if there is one.
  private func keep(_ state: State, accuracy: Double) throws -> PruningReport.Point {
    let (before, after) = (Network(original), finished(state.graph))
    let point = PruningReport.Point(
      macs: Double(after.macs) / Double(max(1, before.macs)),
      parameters: Double(after.nonzeroParameters) / Double(max(1, before.parameters)),
      accuracy: accuracy)
    try directory?.keep(after, point)
    return point
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
