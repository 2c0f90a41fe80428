import Foundation
package import NapData
package import NapEngine
package import NapGraph
import NapKernels
package import NapOutputs
import NapTensor

/// What one optimization step did.
package struct StepReport: Sendable {
  /// Steps done so far, this one included.
  package var step: Int
  package var steps: Int
  package var epoch: Int
  package var epochs: Int
  package var endsEpoch: Bool
  /// Until the end of a run whose length is a time.
  package var secondsLeft: Double?
  package var learningRate: Double
  /// Whether training went back to the last good state before this step, see `TrainingRecipe`.
  package var wentBack: Bool
  /// Whether blending starts after this step.
  package var startsBlending: Bool
  /// Of this step's batch.
  package var batch: LossSum
  /// Of the epoch's images so far, blended ones left out.
  package var epochSum: LossSum
}

/// Trains a network step by step; the caller owns the loop.
package final class TrainingRun {
  package let recipe: TrainingRecipe
  package let plan: Plan
  package let optimizer: NesterovSGD
  package let stepsPerEpoch: Int
  package private(set) var step = 0
  private let loader: Loader
  private var batches: LoaderEpoch?
  private let teacher: Teacher?
  /// Whether targets say what is right.
  package let isLabelled: Bool
  package let outputs: Outputs
  /// Of what the network gives behind those outputs.
  private let sideLoss: (any SideLoss)?
  /// Of the epoch so far: by the tasks, or, without targets, by the teacher.
  private var tasks: TaskMeter
  private var agreement: AgreementMeter
  private var epochSum = LossSum()
  private var blends: Bool
  private let canBlend: Bool
  private var lastGood: [ValueID: Tensor] = [:]
  /// What the last step has made infinite or NaN.
  private var broken: ValueID?
  /// Of all batches so far.
  private var smallestLoss = Double.infinity
  /// By what the learning rate is multiplied.
  private var slowdown = 1.0
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  /// Seconds that the run had been trained for when it was stopped.
  private var secondsBefore = 0.0

  /// - Parameters:
  ///   - outputs: what they are; guessed from their shapes where it is `nil`.
  ///   - sideLoss: of what the network gives behind those.
  /// - Throws: `TrainingError` when network and data do not fit, `PlanError` when the network cannot
  ///   be compiled for training.
  package init(
    _ graph: Graph, data: any Dataset, preset: Preset, recipe: TrainingRecipe,
    teacher: Graph? = nil, outputs: Outputs? = nil, sideLoss: (any SideLoss)? = nil
  ) throws {
    self.recipe = recipe
    self.sideLoss = sideLoss
    blends = recipe.blendsAtOnce
    start = clock.now
    try graph.check(fits: data)
    guard data.isLabelled || teacher != nil else { throw TrainingError.noLabels }
    isLabelled = data.isLabelled
    guard data.count >= recipe.batchSize else {
      throw TrainingError.tooFewImages(count: data.count, batchSize: recipe.batchSize)
    }
    stepsPerEpoch = data.count / recipe.batchSize
    let parameters = Parameters(graph)
    plan = try Plan(
      graph, parameters: parameters, mode: .training, scalar: recipe.scalar,
      batch: recipe.batchSize, savesMemory: recipe.savesMemory)
    self.outputs = try outputs ?? graph.guessedOutputs(plan.outputShapes, for: data)
    guard !data.isLabelled || self.outputs.areLearned else {
      throw TrainingError.outputShape(plan.outputShapes.first ?? [])
    }
    // What is blended, and what nobody but a teacher knows, is pictures of one of several things.
    canBlend =
      self.outputs.isClassifier && plan.inputs.count == 1 && !data.inputs[0].isInteger
    tasks = TaskMeter(self.outputs)
    agreement = AgreementMeter(self.outputs)
    optimizer = NesterovSGD(plan, recipe.optimizer)
    loader = Loader(
      dataset: data, preset: preset, batchSize: recipe.batchSize, shuffle: true,
      augment: recipe.augments, dropLast: true, seed: recipe.seed)
    if let teacher, recipe.loss.teacherWeight > 0 || !data.isLabelled {
      var own = graph
      if sideLoss != nil { own.outputs = Array(own.outputs.prefix(teacher.outputs.count)) }
      try own.check(taughtBy: teacher, batch: recipe.batchSize)
      // Without labels the network is judged by what the teacher says of the images as they are.
      self.teacher = try Teacher(
        teacher, scalar: recipe.scalar, batch: recipe.batchSize,
        mirrors: preset.flips && preset.layout == .nchw && data.isLabelled, images: preset.leastArea < 1 ? 0 : data.count)
    } else {
      self.teacher = nil
    }
    // Shares the memory of the graph until the first loss is in order.
    lastGood = graph.constants.filter { parameters.roles[$0.key] != nil }
  }

  package var parameters: Parameters { plan.parameters }
  /// See `Teacher`.
  package var teacherSeesBothSides: Bool { teacher?.seesBothSides ?? false }
  /// The part of the run that is done, in `0...1`.
  package var progress: Double {
    guard let seconds = recipe.seconds, let secondsLeft else {
      let steps = recipe.epochs * stepsPerEpoch
      return steps == 0 ? 1 : Double(step) / Double(steps)
    }
    return seconds > 0 ? 1 - secondsLeft / seconds : 1
  }
  /// How long it has been trained, also before it was stopped.
  package var seconds: Double { secondsBefore + (clock.now - start) / .seconds(1) }
  private var secondsLeft: Double? {
    recipe.seconds.map { max(0, $0 - seconds) }
  }

  /// Does one step; `nil` when the run is over.
  ///
  /// - Throws: `TrainingError.diverged` when the loss is not finite, `notFinite` when a weight is, and the
  ///   learning rate may not be lowered; the parameters are then those that the last epoch began
  ///   with whose first loss was in order.
  package func next() throws -> StepReport? {
    let progress = progress
    guard progress < 1 else { return nil }
    let epoch = step / stepsPerEpoch
    if step % stepsPerEpoch == 0 {
      batches = loader.epoch(epoch)
      epochSum = LossSum()
      tasks = TaskMeter(outputs)
      agreement = AgreementMeter(outputs)
    }
    guard let batch = try batches?.next() else { return nil }
    plan.setInputs(batch.inputs, count: batch.count)
    let isBlended = blends && canBlend && teacher != nil && step % stepsPerEpoch % 2 == 1
    if isBlended { blend(batch) }
    var (sum, rate) = (LossSum(), 0.0)
    var wentBack = false
    while true {
      sum = forward(batch, isBlended: isBlended)
      rate = learningRate(at: progress)
      let isOutOfHand = isOutOfHand(sum)
      if !isOutOfHand {
        // Before the step: what it leads to is not known to be any good until the next loss is.
        if step % stepsPerEpoch == 0 { rememberState(sum) }
        plan.backward()
        broken = optimizer.step(learningRate: Float(rate))
      }
      guard isOutOfHand || broken != nil else { break }
      wentBack = true
      try goBack(from: rate)
    }
    step += 1
    if !isBlended { count(sum, batch) }
    smallestLoss = min(smallestLoss, sum.meanLoss)
    let endsEpoch = step % stepsPerEpoch == 0
    let startsBlending =
      endsEpoch && !wentBack && !blends && recipe.blending > 0
      && epochSum.accuracy >= recipe.blendsFrom
    blends = blends || startsBlending
    return StepReport(
      step: step, steps: steps, epoch: epoch, epochs: max(epoch + 1, steps / stepsPerEpoch),
      endsEpoch: endsEpoch, secondsLeft: secondsLeft, learningRate: rate, wentBack: wentBack,
      startsBlending: startsBlending, batch: sum,
      epochSum: epochSum)
  }

  /// The loss of a batch that is in the plan's input, with the gradients of the outputs.
  private func forward(_ batch: Batch, isBlended: Bool) -> LossSum {
    plan.forward()
    teacher?.look(at: plan.inputs.map { UnsafePointer($0) }, from: isBlended ? [] : batch.sides)
    return loss(batch, isBlended: isBlended)
  }

  /// To the last good state, and on from there more slowly.
  private func goBack(from rate: Double) throws(TrainingError) {
    for (value, tensor) in lastGood { parameters.set(value, tensor) }
    // Weights may have been closed since then.
    optimizer.applyMasks()
    guard recipe.lowersRate, slowdown > Self.smallestSlowdown else {
      if let broken {
        throw .notFinite(name: plan.graph.name(of: broken), step: step, learningRate: rate)
      }
      throw .diverged(step: step, learningRate: rate)
    }
    broken = nil
    slowdown /= 4
    optimizer.forget()
  }

  /// Goes back to the last good state, for who sees before the loss does that weights grow out of hand.
  ///
  /// - Throws: `TrainingError.diverged` where the learning rate may not be lowered, or has been too often.
  package func retreat() throws { try goBack(from: learningRate(at: progress)) }

  /// Whether the loss is no number, or so large that training will not come back: 1 is about what
  /// knowing nothing costs.
  private func isOutOfHand(_ sum: LossSum) -> Bool {
    !sum.loss.isFinite || sum.meanLoss > 1000 * max(1, smallestLoss)
  }

  private static let smallestSlowdown = 1.0 / 64

  /// How many there are going to be; an estimate where the clock decides.
  private var steps: Int {
    guard recipe.seconds != nil else { return recipe.epochs * stepsPerEpoch }
    return max(step, Int(Double(step) / max(1e-6, progress)))
  }

  /// Blends every image with the next one of the batch.
  private func blend(_ batch: Batch) {
    let size = plan.inputShapes[0].dropFirst().product
    var generator = recipe.seed.derived("blending").derived(step).generator()
    for n in 0..<recipe.batchSize {
      let share = recipe.blending * generator.uniform()
      let (image, other) = (plan.inputs[0] + n * size, (n + 1) % recipe.batchSize * size)
      for i in 0..<size { image[i] += share * (batch.inputs[0][other + i] - image[i]) }
    }
  }

  /// The loss of a batch that has been run; writes the gradients of the outputs.
  private func loss(_ batch: Batch, isBlended: Bool) -> LossSum {
    var objective = recipe.loss
    if isBlended { objective.teacherWeight = 1 }
    var sum = LossSum()
    sum.count = batch.count
    let losses = objective.losses(
      of: plan.outputs, outputs, targets: isLabelled ? batch.targets : [],
      teacher: teacher?.outputs, count: batch.count, gradients: plan.outputGradients)
    sum.loss = losses.reduce(0, +)
    if let sideLoss {
      let own = outputs.meanings.count
      let loss = sideLoss.loss(
        at: progress, of: plan.outputs[own...], losses: losses,
        gradients: plan.outputGradients[own...])
      sum.loss += loss * Double(batch.count)
    }
    return sum
  }

  /// Takes a batch that was not blended into the sum of the epoch.
  private func count(_ sum: LossSum, _ batch: Batch) {
    epochSum.loss += sum.loss
    epochSum.count += sum.count
    if isLabelled {
      tasks.add(plan.outputs, towards: batch.targets, count: batch.count)
    } else if let teacher {
      agreement.add(plan.outputs, towards: teacher.outputs, count: batch.count)
    }
    epochSum.correct = (isLabelled ? tasks.score : agreement.score) * Double(epochSum.count)
  }

  private func learningRate(at progress: Double) -> Double {
    let warmup = recipe.warmupEpochs * Double(stepsPerEpoch) / Double(max(1, steps))
    return slowdown * recipe.learningRate
      * recipe.schedule.factor(at: progress, warmup: min(0.5, warmup))
  }

  /// Unless the loss is growing out of hand already: 1 is about what knowing nothing costs.
  private func rememberState(_ sum: LossSum) {
    guard sum.meanLoss <= 10 * max(1, smallestLoss) else { return }
    for value in parameters.roles.keys where parameters.contains(value) {
      lastGood[value] = parameters.tensor(value)
    }
  }
}

// MARK: Stopping and going on
extension TrainingRun {
  /// All that the next steps depend on besides network, data, recipe, teacher and masks.
  package struct State: Codable {
    fileprivate var step: Int
    fileprivate var seconds: Double
    fileprivate var parameters: [ValueID: Data]
    fileprivate var optimizer: NesterovSGD.State
    fileprivate var answers: Data?
    fileprivate var side: Data?
    fileprivate var agreement: AgreementMeter.State
    fileprivate var tasks: TaskMeter.State
    fileprivate var epochSum: LossSum
    fileprivate var blends: Bool
    fileprivate var lastGood: [ValueID: Tensor]
    fileprivate var smallestLoss: Double
    fileprivate var slowdown: Double
  }

  /// Between two steps.
  package var state: State {
    State(
      step: step, seconds: seconds, parameters: parameters.bits, optimizer: optimizer.state,
      answers: teacher?.answers, side: sideLoss?.state, agreement: agreement.state, tasks: tasks.state,
      epochSum: epochSum, blends: blends,
      lastGood: lastGood, smallestLoss: smallestLoss, slowdown: slowdown)
  }

  /// Goes on where another run of the same network, data, recipe, teacher and masks was.
  package func restore(_ state: State) {
    step = state.step
    secondsBefore = state.seconds - (clock.now - start) / .seconds(1)
    parameters.bits = state.parameters
    optimizer.state = state.optimizer
    if let answers = state.answers { teacher?.answers = answers }
    if let side = state.side { sideLoss?.state = side }
    agreement.state = state.agreement
    tasks.state = state.tasks
    epochSum = state.epochSum
    blends = state.blends
    lastGood = state.lastGood
    smallestLoss = state.smallestLoss
    slowdown = state.slowdown
    batches =
      step % stepsPerEpoch == 0
      ? nil : loader.epoch(step / stepsPerEpoch, from: step % stepsPerEpoch)
  }
}
