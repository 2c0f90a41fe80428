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
  /// The smallest network found that loses at most so many percentage points on held-out images.
  func prune(losingAtMost allowedDrop: Double) throws -> PruningOutcome {
    var search = try DropSearch(self, allowedDrop: allowedDrop)
    return try search.run()
  }

  /// A network with a share of the original's MACs or weights left.
  fileprivate func shrunk(_ state: State, toLevel level: Double, round: Int) throws -> State {
    switch settings.granularity {
    case .channels:
      let target = Int(level * Double(try CostModel(original).macs))
      return try cut(
        state, cost: .macs, downTo: target,
        keeping: try widths(of: state.graph, .macs, downTo: target)?.kept, round: round)
    case .weights, .pattern: return try thin(state, to: .density(level), round: round)
    }
  }

  /// Keeps the result in the run directory, if there is one, measured on held-out images.
  ///
  /// - Parameter macs: the share of the multiply-accumulates that examples cost in the mean, where they differ.
  func keepResult(_ state: State, macs: Double? = nil) throws {
    guard directory != nil else { return }
    let judge = try Judge(self)
    directory?.note(accuracyBefore: judge.baseline)
    _ = try keep(state, macs: macs, accuracy: judge.verdict(on: state.graph).accuracy)
  }

  /// A point of the trade-off, with its network in the run directory if there is one.
  fileprivate func keep(_ state: State, macs: Double? = nil, accuracy: Double) throws
    -> PruningReport.Point
  {
    let (before, after) = (Network(original), finished(state.graph))
    var point = PruningReport.Point(
      macs: macs ?? Double(after.macs) / Double(max(1, before.macs)),
      parameters: Double(after.nonzeroParameters) / Double(max(1, before.parameters)),
      accuracy: accuracy)
    point.measure = Measure(outputs, isLabelled: validation.isLabelled)
    directory?.keep(after, point)
    return point
  }
}

/// Goes down step by step, first without training, then with a little after each step, for as long as
/// more training may make up for what is lost; then trains in earnest, several times.
private struct DropSearch {
  /// A network on the way.
  struct Candidate {
    var state: PruningSession.State
    /// What is left of the original's MACs or weights.
    var level = 1.0
    /// In percent, and in percentage points, see `Judge`.
    var accuracy = 0.0
    var drop = 0.0
  }

  private let session: PruningSession
  private let allowedDrop: Double
  private let judge: Judge
  private let descent: StepwiseDescent
  private let forecast: Forecast?
  /// Epochs of going down, and of every training after that.
  private let epochs: Int
  private let willTrain: Bool
  private var spentEpochs = 0
  private var rounds = 0
  /// Smaller and smaller, each made from the one before.
  private var path: [Candidate]
  /// The smallest of those that lose no more than is allowed.
  private var best: Candidate
  private var curve: [PruningReport.Point] = []

  init(_ session: PruningSession, allowedDrop: Double) throws {
    self.allowedDrop = allowedDrop
    judge = try Judge(session)
    session.directory?.note(accuracyBefore: judge.baseline)
    let wanted = session.settings.epochs ?? Self.defaultEpochs
    epochs = wanted > 0 ? max(1, wanted / (1 + Self.trainings)) : 0
    willTrain = session.budget != nil || epochs > 0
    descent = StepwiseDescent(
      factor: session.settings.granularity == .channels ? 0.8 : 0.7,
      allowedDrop: willTrain ? allowedDrop / Self.expectedRest : allowedDrop)
    best = Candidate(state: .init(graph: session.original))
    path = [best]
    forecast = try session.forecast(
      rounds: Self.usualSteps + Self.failures + Self.trainings - 1,
      training: session.recipe(.epochs(epochs * (1 + Self.trainings))),
      share: pow(descent.factor, Double(Self.usualSteps)))
    self.session = session.foretelling(forecast)
  }

  mutating func run() throws -> PruningOutcome {
    do {
      try goDown()
      if willTrain, path.count > 1 { try train() }
    } catch let error where best.level < 1 {
      throw WorkStopped(lastGood: Network(best.state.graph), by: error)
    }
    return PruningOutcome(state: best.state, curve: curve)
  }

  private mutating func goDown() throws {
    var trials: [Trial] = []
    while let level = descent.next(after: trials), mayGoDown || trials.isEmpty {
      let more = trials.allSatisfy(descent.accepts) ? expectedSteps : 0
      let failures = Self.failures - trials.count { !descent.accepts($0) }
      foretell(
        steps: more + failures, trainings: Self.trainings,
        level: path[path.count - 1].level * pow(descent.factor, Double(more)))
      guard var candidate = try smaller(than: path[path.count - 1], level: level) else { break }
      if candidate.drop > allowedDrop, mayRecover {
        candidate = try trained(
          candidate, session.budget?.part(Self.recoveryShare) ?? .epochs(Self.recoveryEpochs))
        spentEpochs += Self.recoveryEpochs
      }
      let trial = Trial(level: level, drop: candidate.drop)
      trials.append(trial)
      if descent.accepts(trial) { path.append(candidate) }
      try take(
        candidate, otherwise: descent.accepts(trial) ? "training may make up for it" : "too much")
    }
  }

  /// Says what is still to come: some steps down, as many as can be trained a little after them, and
  /// trainings in earnest with a step between two.
  ///
  /// - Parameter level: where the steps lead.
  private func foretell(steps: Int = 0, trainings: Int, level: Double) {
    guard let forecast else { return }
    let recoveries = min(steps, (epochs - spentEpochs) / Self.recoveryEpochs)
    forecast.expect(
      rounds: steps + trainings - 1,
      images: session.trainedImages(
        epochs: recoveries * Self.recoveryEpochs + trainings * epochs, of: share(of: level)))
  }

  /// How many more steps will be accepted, by what is lost so far.
  private var expectedSteps: Int {
    guard let last = path.last, path.count > 1 else { return Self.usualSteps }
    let (allowed, lost) = (descent.allowedDrop, last.drop)
    let steps = log(allowed / max(lost, 0.05 * allowed)) / log(Self.growth)
    return steps > 0 ? Int(steps) : 0
  }

  /// What is left to train of a network: single weights that are zero cost as much as others.
  private func share(of level: Double) -> Double {
    session.settings.granularity == .channels ? level : 1
  }

  private var mayGoDown: Bool { session.budget?.isInFirstHalf ?? true }
  private var mayRecover: Bool {
    session.budget?.isInFirstHalf ?? (spentEpochs + Self.recoveryEpochs <= epochs)
  }

  /// Trains the smallest network; then, as that turned out, a smaller one, the one before it, or one in
  /// between.
  ///
  /// Trained a second time, a network only gets to where it was: a ResNet-20 that lost 1.2 points after
  /// eight epochs lost 1.6 after eight more.
  private mutating func train() throws {
    var candidate = path.removeLast()
    for left in (1...Self.trainings).reversed() {
      foretell(trainings: left, level: candidate.level)
      candidate = try trained(
        candidate, session.budget.map { .seconds($0.left / Double(left)) } ?? .epochs(epochs),
        in: session.part(Self.trainings - left + 1, of: Self.trainings, kind: "training"))
      try take(candidate, otherwise: "too much")
      guard left > 1, let next = try next(after: candidate) else { break }
      candidate = next
    }
  }

  private mutating func next(after candidate: Candidate) throws -> Candidate? {
    if candidate.drop <= allowedDrop {
      path = [candidate]
      let isFar = candidate.drop <= allowedDrop / 2
      let factor = isFar ? descent.factor : descent.factor.squareRoot()
      return try smaller(than: candidate, level: factor * candidate.level)
    }
    let before = path.count > 1 ? path.removeLast() : path[0]
    if candidate.drop > 1.5 * allowedDrop, before.drop > allowedDrop { return before }
    return try smaller(than: before, level: (before.level * candidate.level).squareRoot())
  }

  /// `nil` where nothing more may go.
  private mutating func smaller(than candidate: Candidate, level: Double) throws -> Candidate? {
    rounds += 1
    forecast?.beginRound()
    var state = candidate.state
    let seconds = try session.journal.timed {
      state = try session.shrunk(state, toLevel: level, round: rounds)
    }
    forecast?.endRound(taking: seconds)
    if session.settings.granularity == .channels,
      try CostModel(state.graph).macs == CostModel(candidate.state.graph).macs
    {
      return nil
    }
    return try judged(state, level: level)
  }

  /// Trained on the validation images too: the original has learned them, and would win on them against a
  /// network that has not.
  private func trained(
    _ candidate: Candidate, _ length: TrainingLength, in session: PruningSession? = nil
  ) throws -> Candidate {
    let session = session ?? self.session
    forecast?.imageShare = session.imageShare(of: share(of: candidate.level))
    let state = try session.recovered(candidate.state, recipe: session.recipe(length))
    return try judged(state, level: candidate.level)
  }

  private func judged(_ state: PruningSession.State, level: Double) throws -> Candidate {
    let (accuracy, drop) = try judge.verdict(on: state.graph)
    return Candidate(state: state, level: level, accuracy: accuracy, drop: drop)
  }

  /// Keeps a network, as the best one if it loses no more than is allowed.
  private mutating func take(_ candidate: Candidate, otherwise verdict: String) throws {
    let isAllowed = candidate.drop <= allowedDrop
    if isAllowed { best = candidate }
    var event = WorkProgress(
      stage: "searching",
      message: String(
        format: "%.1f %% left: %+.2f points, %@", 100 * candidate.level, -candidate.drop,
        isAllowed ? "kept" : verdict))
    event.measured = WorkProgress.Measured(
      kind: "candidate", name: isAllowed ? "kept" : verdict,
      values: ["level": candidate.level, "drop": candidate.drop, "accuracy": candidate.accuracy])
    try session.progress(event)
    curve.append(
      try session.keep(candidate.state, accuracy: candidate.accuracy))
  }

  /// Epochs in all where the user gives none.
  private static let defaultEpochs = 32
  /// How often there is training in earnest.
  private static let trainings = 3
  /// Epochs of training between two steps down.
  private static let recoveryEpochs = 2
  /// The same, as a part of the time there is.
  private static let recoveryShare = 0.05
  /// Steps down that are accepted where nothing is known yet, and those that are tried in vain.
  private static let usualSteps = 2
  private static let failures = 2
  /// What the next step loses by what the last one has lost: 2.4 times as much of a ResNet-20.
  private static let growth = 2.4
  /// What training in earnest leaves of a loss after a little training: 0.43 of a ResNet-20's.
  private static let expectedRest = 0.4
}

/// Measures what a network has lost, on held-out images.
///
/// The original was trained on those too. Where it knows nearly all of them by heart, a square is painted
/// over in each, so large that it errs more often than on new images. Nine ResNet-20s of half the MACs
/// that lost 0.8 to 1.3 points on images that no network had seen lost 3.2 to 4.3 on held-out ones as
/// they are, 2.8 to 3.6 on blends of two, and 1.3 to 2.0 with the square.
private struct Judge {
  let session: PruningSession
  let data: any Dataset
  /// Accuracy of the original, in percent.
  let baseline: Double
  /// What the user's metric says of the original, where it is what counts.
  private let metricBaseline: Double?
  private let metric: UserMetric?

  init(_ session: PruningSession) throws {
    self.session = session
    metric = session.settings.isJudgedByMetric ? session.settings.metric : nil
    metricBaseline = try metric?.value(of: session.finished(session.original))
    let heldOut = session.validation
    let accuracy = try session.measure(session.original, on: heldOut).accuracy
    // Without labels, the original agrees with itself on every image.
    guard accuracy >= Self.byHeart, heldOut.isLabelled, heldOut.imageShape.count == 3,
      session.preset.layout == .nchw
    else {
      (data, baseline) = (heldOut, accuracy)
      return
    }
    data = ErasedDataset(heldOut, share: Self.erased, repeats: 2, seed: session.seed)
    baseline = try session.measure(session.original, on: data).accuracy
  }

  /// Accuracy in percent, and what is lost in percentage points, or in the units of the user's metric.
  ///
  /// Of equal decisions, with their standard error: the smallest network of many that lose no more than is
  /// allowed has had luck with these images, and would break the promise on others.
  func verdict(on graph: Graph) throws -> (accuracy: Double, drop: Double) {
    let sum = try session.measure(graph, on: data)
    if let metric, let metricBaseline {
      return (sum.accuracy, try metricBaseline - metric.value(of: session.finished(graph)))
    }
    return (sum.accuracy, baseline - sum.accuracy + 100 * sum.standardError)
  }

  /// Percent of the held-out images.
  private static let byHeart = 95.0
  /// The side of the square by the smaller side of the image.
  private static let erased = 0.375
}
