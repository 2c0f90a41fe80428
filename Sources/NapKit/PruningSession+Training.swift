import Foundation
import NapCurvature
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapOutputs
import NapPruning
import NapReport
import NapTensor
import NapTraining

extension PruningSession {
  /// How pruned networks are fine-tuned: towards the teacher's outputs.
  func recipe(_ length: TrainingLength) -> TrainingRecipe {
    var recipe = TrainingRecipe()
    switch length {
    case .epochs(let epochs): recipe.epochs = epochs
    case .seconds(let seconds): recipe.seconds = seconds
    }
    recipe.scalar = scalar
    recipe.savesMemory = settings.savesMemory
    recipe.seed = seed
    // Longer steps throw a network that knows its images by heart out of its minimum.
    recipe.learningRate = settings.learningRate ?? 0.02
    recipe.lowersRate = settings.learningRate == nil
    recipe.batchSize = original.trainingBatch(of: trainable.count)
    recipe.loss = Self.objective
    if training.isLabelled { recipe.blendOnceImagesAreKnown() }
    return recipe
  }

  /// What fine-tuning minimizes.
  static let objective = Objective(teacherWeight: 0.9, temperature: 4)

  /// How a network is trained while single weights go.
  ///
  /// It keeps all its channels, and soon knows its images by heart like the original: what it lacks
  /// is how the original sees other ones. ResNet-56 at 90 % zeros: 92.62 % instead of 92.14 %.
  func sparseRecipe(_ length: TrainingLength) -> TrainingRecipe {
    var recipe = recipe(length)
    recipe.learningRate = settings.learningRate ?? 0.05
    recipe.optimizer.weightDecay = 5e-4
    recipe.schedule = .trapezoid
    recipe.loss.teacherWeight = 1
    recipe.blending = 0.5
    recipe.blendsFrom = 0
    return recipe
  }

  /// How long there is to train at the end.
  func length(epochs: Int) -> TrainingLength { budget?.rest ?? .epochs(settings.epochs ?? epochs) }

  /// The best network on the way of a training, by the loss on watched images: what it began with, or
  /// what an epoch or the training ended with. Masks stay in force.
  ///
  /// What suits a classifier with normalizations may throw another network out of its minimum. Such a one
  /// is tried for a while at two learning rates, a third where these do not help, and with normalizations
  /// that were put back; what does best goes on.
  func recovered(_ state: State, recipe: TrainingRecipe) throws -> State {
    guard recipe.seconds ?? Double(recipe.epochs) > 0 else { return state }
    let plain = folded(state.graph)
    let isUsual = plain.parameterRoles.values.contains(.statistic) && outputs.isClassifier
    guard let watch, state.masks.isEmpty, !isUsual else {
      var result = state
      result.graph = try best(from: state, recipe: recipe).graph
      return result
    }
    var trials = [Trial(plain, slowdown: 1)]
    if recipe.lowersRate { trials += [8, 64].map { Trial(plain, slowdown: $0) } }
    if plain.nodes.count < state.graph.nodes.count {
      trials.insert(Trial(state.graph, slowdown: 1), at: 0)
    }
    let (short, rest) = recipe.trial(of: trials.count)
    let startLoss = try watch.loss(of: plain)
    var chosen = Trial(plain, slowdown: 1, loss: startLoss)
    for var trial in trials where trial.slowdown < 64 || chosen.loss >= startLoss {
      var candidate = state
      candidate.graph = trial.start
      let trained = try best(from: candidate, recipe: short.slower(trial.slowdown))
      (trial.result, trial.loss) = (trained.graph, trained.loss)
      if trial.loss < chosen.loss { chosen = trial }
    }
    var result = state
    result.graph = chosen.result
    guard let rest, chosen.loss < startLoss else { return result }
    var start = state
    start.graph = chosen.start
    let whole = try best(from: start, recipe: rest.slower(chosen.slowdown))
    if whole.loss <= chosen.loss { result.graph = whole.graph }
    return result
  }

  /// A way to train, and what came of a little of it.
  private struct Trial {
    let start: Graph
    let slowdown: Double
    var result: Graph
    var loss: Double

    init(_ start: Graph, slowdown: Double, loss: Double = .infinity) {
      (self.start, self.slowdown, self.loss, result) = (start, slowdown, loss, start)
    }
  }

  /// The best on the way of one training.
  private func best(from state: State, recipe: TrainingRecipe) throws -> Best.Found {
    try journal.step("fine-tuning", saving: FineTuning.self) { loop in
      let run = try TrainingRun(
        state.graph, data: trainable, preset: preset, recipe: recipe, teacher: teacher,
        outputs: outputs)
      for (weight, mask) in state.masks { run.optimizer.setMask(mask.isKept, of: weight) }
      if loop.restored == nil { try announce(run, stage: Self.tuning) }
      var best = try loop.restored.map { Best($0.best, watch) } ?? Best(state.graph, watch)
      let start = loop.restored?.start ?? best.found.loss
      if let restored = loop.restored { run.restore(restored.run) }
      try WorkStopped.keeping({ Network(best.found.graph) }) {
        do {
          while let report = try step(run) {
            if report.endsEpoch { try best.consider(run) }
            try loop.end(FineTuning(run: run.state, best: best.found, start: start)) {
              try progress(WorkProgress(report, of: run, stage: Self.tuning))
            }
          }
          try best.consider(run)
        } catch let error as TrainingError where watch != nil && recipe.lowersRate {
          // No rate is small enough for it: what it began with is still there.
          switch error {
          case .diverged, .notFinite: break
          default: throw error
          }
          try progress(WorkProgress(stage: Self.tuning, message: error.problem))
        }
      }
      let reached = best.found.loss
      try progress(
        WorkProgress(
          stage: Self.tuning,
          message: reached < start
            ? String(format: "the loss on held-out images fell from %.4g to %.4g", start, reached)
            : String(format: "training did not lower the held-out loss of %.4g", start)))
      return best.found
    }
  }

  /// How long a job takes that cuts in rounds and is trained for epochs; `nil` where its time is given.
  ///
  /// - Parameters:
  ///   - candidates: networks that are evaluated before anything is cut.
  ///   - share: of the network that is left to train.
  ///   - isTried: whether several trainings are tried; `nil` for what `recovered` does.
  func forecast(
    candidates: Int = 0, rounds: Int, training recipe: TrainingRecipe, share: Double,
    isTried: Bool? = nil
  ) throws -> Forecast? {
    guard budget == nil else { return nil }
    let each = measuring.seconds / Double(max(1, measuring.examples))
    let collecting = criterion.evidence.isEmpty ? 0 : Double(curvatureImages)
    let forecast = Forecast(
      of: journal, candidates: candidates,
      secondsPerCandidate: each * NetworkEvidence.imagesOfCandidate * (1 + share) / 2,
      rounds: rounds + later.rounds, roundSeconds: Budget.collectingFactor * each * collecting,
      images: trainedImages(epochs: recipe.epochs, of: share, isTried: isTried) + later.images,
      secondsPerImage: recipe.epochs > 0 ? try secondsPerTrainedImage(recipe) : 0,
      ending: measuring.seconds)
    forecast.imageShare = imageShare(of: share)
    if announces, let announcement = forecast.announcement {
      try progress(WorkProgress(stage: "planning", message: announcement))
    }
    return forecast
  }

  /// What training on an image costs of a network with a share of the original's channels' MACs left, by what
  /// it costs of the original: a forward pass of the teacher, and three times as much of what is trained.
  func imageShare(of share: Double) -> Double { (1 + 3 * share) / 4 }

  /// Images of a training, in those of the original.
  func trainedImages(epochs: Int, of share: Double, isTried: Bool? = nil) -> Double {
    let isTried =
      isTried
      ?? (!outputs.isClassifier || !folded(original).parameterRoles.values.contains(.statistic))
    return Double(epochs * trainable.count) * (isTried ? 1.4 : 1) * imageShare(of: share)
  }

  /// Of the whole network, by a few steps of a training that is thrown away.
  private func secondsPerTrainedImage(_ recipe: TrainingRecipe) throws -> Double {
    try journal.step("timing a training") {
      let run = try TrainingRun(
        original, data: trainable, preset: preset, recipe: recipe, teacher: teacher,
        outputs: outputs)
      var times: [Double] = []
      do {
        for step in 1...Self.timedSteps {
          times.append(try timed { _ = try run.next() })
          try progress(
            WorkProgress(stage: "timing a training", step: step, steps: Self.timedSteps))
        }
      } catch is TrainingError {
        // The training itself knows what to do then.
      }
      guard times.count > 1 else { return 0 }
      // The first makes ready.
      return MeasuredTime(Array(times.dropFirst())).median / Double(recipe.batchSize)
    }
  }

  private static let timedSteps = 4

  /// Between two steps of a training.
  private struct FineTuning: Codable {
    var run: TrainingRun.State
    var best: Best.Found
    /// The loss that training began with.
    var start: Double
  }

  /// Does one step of a training; `nil` where there was none to do.
  func step(_ run: TrainingRun) throws -> StepReport? {
    if run.progress < 1 {
      do {
        try precondition(run)
      } catch let error as NotFinite {
        // From there on, steps go as they went until it is collected again.
        try retreat(run, from: error, stage: Self.tuning)
      }
    }
    return try run.next()
  }

  /// Has a training go back whose weights have blown up, as its curvature shows before its loss does.
  ///
  /// - Throws: the error where training may not go back, or `TrainingError.diverged`.
  func retreat(_ run: TrainingRun, from error: NotFinite, stage: String) throws {
    guard run.recipe.lowersRate, run.step > 0 else { throw error }
    try run.retreat()
    try progress(
      WorkProgress(stage: stage, message: "\(error.problem): back to the last good state"))
  }

  /// Points the steps of a training where the curvature says that the minimum is, wherever that costs
  /// less than half of what the gradient of a layer does.
  ///
  /// A ResNet-56 with 47 % of its MACs has lost as little after 5 epochs as after 18 without it.
  private func precondition(_ run: TrainingRun) throws {
    guard settings.optimizer == .kfac, isPreconditioned(at: run.step, of: run) else { return }
    let graph = run.parameters.graph
    let largestFactor = min(settings.largestFactor, Self.largestPreconditioner)
    let shapes = try graph.shapes(batch: 1)
    // Of gates that decide alike of all examples there is no curvature.
    let gates = Set(graph.channelGates(shapes).flatMap(\.nodes))
    let layers = graph.affineLayers(shapes: shapes).filter { layer in
      if gates.contains(layer.index) { return false }
      let largest = layer.shape.blocks(upTo: largestFactor).map(\.count).max() ?? 0
      // The curvature along a weight that others read in another way is not known.
      return !layer.isShared
        && 2 * (largest + layer.shape.outputs)
          <= 3 * layer.shape.positions * run.recipe.batchSize
    }
    guard !layers.isEmpty else { return }
    let factors = try factors(
      of: graph, nodes: Set(layers.map(\.index)), largestFactor: largestFactor,
      seed: seed.derived("preconditioning").derived(run.step))
    for layer in layers {
      guard let groups = factors[layer.index]?.groups else { continue }
      let curvature = KroneckerCurvature(
        groups.map { group in
          KroneckerCurvature.Group(
            inputs: group.dampedInputs(Self.trainingDamping),
            outputs: group.dampedOutputs(Self.trainingDamping))
        }, outputsAreRows: layer.op.weightOutputAxis == 0,
        kernel: layer.weight.shape.dropFirst(2).product)
      run.optimizer.setCurvature(curvature, of: layer.node.inputs[1])
    }
  }

  /// At first, and then less and less often: curvature that is never collected again trains a ResNet-56
  /// as fast.
  private func isPreconditioned(at step: Int, of run: TrainingRun) -> Bool {
    let images = Self.imagesBetween * curvatureImages
    let period = max(run.stepsPerEpoch, images / run.recipe.batchSize)
    let (periods, rest) = step.quotientAndRemainder(dividingBy: period)
    return rest == 0 && periods & (periods - 1) == 0
  }

  /// Images that are trained on for every one that curvature is collected from, at least; the latter
  /// takes some times as long.
  private static let imagesBetween = 32
  /// Inputs that are taken for correlated with each other where steps are preconditioned.
  private static let largestPreconditioner = 1152
  private static let trainingDamping = 1e-2

  /// Says what has been chosen.
  func announce(_ run: TrainingRun, stage: String) throws {
    let recipe = run.recipe
    let length = recipe.seconds.map { String(format: "%.0f s", $0) } ?? "\(recipe.epochs) epochs"
    try progress(
      WorkProgress(
        stage: stage,
        message: String(
          format: "%@ for %@: %@, batch %d, %@, learning rate %g, weight decay %g, teacher %g%@%@",
          stage,
          length, settings.optimizer == .kfac ? "K-FAC" : "SGD", recipe.batchSize,
          recipe.scalar == .float32 ? "float32" : "bfloat16",
          recipe.learningRate, Double(recipe.optimizer.weightDecay),
          Double(recipe.loss.teacherWeight),
          run.teacherSeesBothSides ? " (mean of each image and its mirror image)" : "",
          recipe.blendsAtOnce ? ", blended images" : "")))
  }

  /// Loss and accuracy on some images, or agreement with the original where they have no labels.
  func measure(_ graph: Graph, on data: any Dataset) throws -> LossSum {
    try journal.step("validating", saving: Evaluator.State.self) { loop in
      try Evaluation.measure(
        graph, data, preset, scalar, teacher: original, outputs: outputs, stage: "validating",
        loop: loop, progress: progress)
    }
  }
}

extension TrainingRecipe {
  /// A training to choose by, of some, and a training of what is left then; of short ones, nothing is
  /// left.
  fileprivate func trial(of count: Int) -> (trial: TrainingRecipe, rest: TrainingRecipe?) {
    var (trial, rest) = (self, self)
    if let seconds {
      trial.seconds = 0.04 * seconds
      rest.seconds = (1 - 0.04 * Double(count)) * seconds
      return (trial, rest)
    }
    guard epochs > 2 else { return (self, nil) }
    trial.epochs = max(1, epochs / 8)
    return (trial, rest)
  }

  fileprivate func slower(_ factor: Double) -> TrainingRecipe {
    var result = self
    result.learningRate /= factor
    return result
  }
}

/// The best of some networks on watched images; the last where there are none.
struct Best {
  struct Found: Codable {
    var graph: Graph
    var loss: Double
    /// Of the training, when it was looked at last.
    fileprivate var step = 0
  }

  private(set) var found: Found
  private let watch: Watch?

  init(_ graph: Graph, _ watch: Watch?) throws {
    self.watch = watch
    found = Found(graph: graph, loss: try watch?.loss(of: graph) ?? .infinity)
  }

  init(_ found: Found, _ watch: Watch?) { (self.found, self.watch) = (found, watch) }

  /// Looks at what a training has come to, once after every step at most.
  mutating func consider(_ run: TrainingRun) throws {
    guard run.step != found.step else { return }
    found.step = run.step
    let candidate = run.parameters.graph
    let loss = try watch?.loss(of: candidate) ?? -.infinity
    if loss < found.loss || watch == nil { (found.graph, found.loss) = (candidate, loss) }
  }
}

extension WorkProgress {
  init(_ report: StepReport, of run: TrainingRun, stage: String) {
    let recipe = run.recipe
    let measured = report.epochSum.accuracy
    self.init(
      stage: stage, step: report.step, steps: report.steps, images: report.step * recipe.batchSize,
      secondsLeft: report.secondsLeft, loss: report.epochSum.meanLoss,
      score: measured, measure: run.measure)
    if report.endsEpoch {
      var values = [
        "epoch": Double(report.epoch + 1), "loss": report.epochSum.meanLoss,
        "learning_rate": report.learningRate,
      ]
      values[run.measure.rawValue] = measured
      self.measured = Measured(kind: "epoch", name: stage, values: values)
    }
    if report.wentBack {
      message = String(
        format: "the loss grew out of hand: back to the last good state, learning rate %.2g",
        report.learningRate)
    }
    if report.startsBlending {
      message = String(
        format:
          "at least %g %% of the images are known: from here on, every other batch is of blends",
        recipe.blendsFrom)
    }
  }
}
