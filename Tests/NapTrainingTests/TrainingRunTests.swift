import Foundation
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import NapTraining
import Testing

@Suite struct TrainingRunTests {
  private let data = SyntheticDataset(count: 256, split: .train)

  private var network: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([3, 32, 32])
    let c = n.normalization(n.conv(x, [8, 3, 3, 3], "a"), 8, "a.bn")
    let pooled = n.apply(GlobalAveragePool(), n.apply(Relu(), c, name: "relu"), name: "pool")
    let features = n.apply(Flatten(), pooled, name: "flatten")
    n.output(n.linear(features, 8, 10, "classifier"), [10])
    return n
  }

  private func recipe(epochs: Int) throws -> TrainingRecipe {
    var recipe = TrainingRecipe()
    recipe.epochs = epochs
    recipe.batchSize = 64
    recipe.learningRate = 0.05
    return recipe
  }

  private func preset() throws -> Preset { try #require(Preset.named("synthetic")) }

  @Test func theSameSeedGivesTheSameWeights() throws {
    let results = try (0..<2).map { _ in
      let run = try TrainingRun(
        network.graph, data: data, preset: preset(), recipe: recipe(epochs: 2))
      while try run.next() != nil {}
      return run.parameters.trained.map { run.parameters.tensor($0).floats }
    }
    #expect(results[0] == results[1])
  }

  /// Between any two steps a run may be stopped, and another goes on where it was.
  @Test(arguments: [1, 4, 5, 7]) func aRunGoesOnWhereAnotherWas(_ steps: Int) throws {
    var recipe = try recipe(epochs: 3)
    recipe.loss.teacherWeight = 0.5
    recipe.blending = 0.5
    recipe.blendsFrom = 10
    var teacher = network
    teacher.graph.constants = teacher.graph.constants.mapValues {
      $0.isFloat ? Tensor(shape: $0.shape, floats: $0.floats.map { 1.1 * $0 }) : $0
    }
    func make() throws -> TrainingRun {
      try TrainingRun(
        network.graph, data: data, preset: Preset.named("cifar10") ?? preset(), recipe: recipe,
        teacher: teacher.graph)
    }
    /// As K-FAC does it, and as pruning of single weights does.
    func prepare(_ run: TrainingRun) {
      guard run.step == 0 else { return }
      let weight = run.parameters.trained.first { run.parameters.count($0) == 216 }
      guard let weight else { return }
      run.optimizer.setMask((0..<216).map { $0 % 3 > 0 }, of: weight)
      let curvature = KroneckerCurvature.Group(
        inputs: BlockDiagonalMatrix(Matrix.identity(27)), outputs: Matrix.identity(8))
      run.optimizer.setCurvature(KroneckerCurvature([curvature], outputsAreRows: true), of: weight)
    }
    func finish(_ run: TrainingRun) throws -> [ValueID: Data] {
      while try run.next() != nil {}
      return run.parameters.bits
    }
    let whole = try make()
    prepare(whole)
    let stopped = try make()
    prepare(stopped)
    for _ in 0..<steps { _ = try stopped.next() }
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    let state = try PropertyListDecoder().decode(
      TrainingRun.State.self, from: encoder.encode(stopped.state))
    let next = try make()
    prepare(next)
    next.restore(state)
    #expect(try finish(next) == finish(whole))
  }

  /// An evaluation may be stopped between any two batches, too; with labels and without.
  @Test(arguments: [0, 1, 3, 4]) func anEvaluationGoesOnWhereItWas(_ batches: Int) throws {
    func make(_ teacher: Bool) throws -> Evaluator {
      try Evaluator(
        network.graph, data: teacher ? Unlabelled(data) : data, preset: preset(),
        teacher: teacher ? network.graph : nil, batchSize: 60)
    }
    for teacher in [false, true] {
      let (whole, stopped, next) = (try make(teacher), try make(teacher), try make(teacher))
      while try whole.next() != nil {}
      for _ in 0..<batches { _ = try stopped.next() }
      next.state = stopped.state
      while try next.next() != nil {}
      #expect(next.sum.count == 256 && next.sum.loss == whole.sum.loss)
      #expect(next.sum.correct == whole.sum.correct)
    }
  }

  @Test func trainingLowersTheLoss() throws {
    let run = try TrainingRun(
      network.graph, data: data, preset: preset(), recipe: recipe(epochs: 6))
    var losses: [Double] = []
    while let report = try run.next() {
      if report.endsEpoch { losses.append(report.epochSum.meanLoss) }
    }
    #expect(losses.count == 6)
    #expect(try #require(losses.last) < losses[0])
  }

  @Test func warmUpLastsHalfOfTheRunAtMost() throws {
    var recipe = try recipe(epochs: 2)
    recipe.warmupEpochs = 5
    let run = try TrainingRun(network.graph, data: data, preset: preset(), recipe: recipe)
    var rates: [Double] = []
    while let report = try run.next() { rates.append(report.learningRate) }
    #expect(Array(rates.prefix(5)) == [0, 0.25, 0.5, 0.75, 1].map { $0 * recipe.learningRate })
  }

  @Test func divergenceKeepsTheLastGoodState() throws {
    var wild = try recipe(epochs: 20)
    wild.learningRate = 1e30
    let run = try TrainingRun(network.graph, data: data, preset: preset(), recipe: wild)
    #expect(throws: TrainingError.self) { while try run.next() != nil {} }
    for value in run.parameters.trained {
      #expect(run.parameters.tensor(value).floats.allSatisfy { $0.isFinite })
    }
  }

  /// A single step is enough for it, before any loss says so.
  @Test func weightsThatAreNoLongerFiniteAreNamed() throws {
    var wild = try recipe(epochs: 1)
    wild.learningRate = 1e10
    wild.optimizer.weightDecay = 1e38
    let run = try TrainingRun(network.graph, data: data, preset: preset(), recipe: wild)
    do {
      while try run.next() != nil {}
      Issue.record("nothing was thrown")
    } catch TrainingError.notFinite(let name, _, _) {
      #expect(network.graph.constants.keys.contains { network.graph.name(of: $0) == name })
    }
  }

  /// A linear network, whose error grows by a factor a step when the rate is too large.
  @Test func aRateThatIsTooLargeIsLowered() throws {
    struct Unlabelled: Dataset {
      let base = SyntheticDataset(count: 2048, split: .train)
      var count: Int { base.count }
      var classNames: [String] { [] }
      var imageShape: [Int] { base.imageShape }
      func label(at index: Int) -> Int { 0 }
      func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
        base.copyPixels(of: index, into: pixels)
      }
    }
    var n = SmallNetwork()
    n.output(n.conv(n.input([3, 32, 32]), [3, 3, 1, 1], "a"), [3, 32, 32])
    var teacher = n.graph
    for (value, tensor) in n.graph.constants {
      teacher.constants[value] = Tensor(shape: tensor.shape, floats: tensor.floats.map { 2 * $0 })
    }
    var recipe = try recipe(epochs: 2)
    recipe.learningRate = 100
    recipe.lowersRate = true
    let run = try TrainingRun(
      n.graph, data: Unlabelled(), preset: preset(), recipe: recipe, teacher: teacher)
    var reports: [StepReport] = []
    while let report = try run.next() { reports.append(report) }
    #expect(reports.contains { $0.wentBack })
    #expect(try #require(reports.last).batch.meanLoss < 0.5 * reports[0].batch.meanLoss)
    #expect(run.step == 2 * run.stepsPerEpoch)
  }

  @Test func maskedWeightsStayZero() throws {
    let network = network
    let run = try TrainingRun(
      network.graph, data: data, preset: preset(), recipe: recipe(epochs: 1))
    let weight = network.constant("a.w")
    let mask = (0..<run.parameters.count(weight)).map { $0 % 3 == 0 }
    run.optimizer.setMask(mask, of: weight)
    while try run.next() != nil {}
    let values = run.parameters.tensor(weight).floats
    for (value, kept) in zip(values, mask) { #expect(kept == (value != 0)) }
  }

  @Test func weightDecayLeavesBiasesAndNormalizationsAlone() throws {
    let network = network
    var decaying = try recipe(epochs: 1)
    decaying.optimizer = .init(momentum: 0, weightDecay: 0.5)
    let plan = try Plan(network.graph, mode: .training, batch: 2)
    let optimizer = NesterovSGD(plan, decaying.optimizer)
    for (value, gradient) in plan.parameterGradients {
      gradient.update(repeating: 0, count: plan.parameters.count(value))
    }
    #expect(optimizer.step(learningRate: 0.1) == nil)
    for value in plan.parameters.trained {
      let before = try #require(network.graph.constants[value]).floats
      let factor: Float = plan.parameters.roles[value] == .weight ? 0.95 : 1
      #expect(
        relativeDifference(plan.parameters.tensor(value).floats, before.map { $0 * factor }) < 1e-6)
    }
  }

  @Test func imagesThatAreKnownAreBlended() throws {
    var recipe = try recipe(epochs: 6)
    recipe.loss = Objective(teacherWeight: 0.1)
    recipe.blending = 0.5
    func starts(from accuracy: Double) throws -> [Int] {
      recipe.blendsFrom = accuracy
      let run = try TrainingRun(
        network.graph, data: data, preset: preset(), recipe: recipe, teacher: network.graph)
      var epochs: [Int] = []
      while let report = try run.next() {
        if report.startsBlending { epochs.append(report.epoch) }
        #expect(!report.startsBlending || report.epochSum.accuracy >= accuracy)
      }
      return epochs
    }
    #expect(try starts(from: 0) == [])
    #expect(try starts(from: 101) == [])
    #expect(try starts(from: 1).count == 1)
  }

  @Test func blendedImagesAreNotCounted() throws {
    var recipe = try recipe(epochs: 2)
    recipe.batchSize = 80
    recipe.loss = Objective(teacherWeight: 0.1)
    recipe.blending = 0.5
    recipe.blendsFrom = 0
    let run = try TrainingRun(
      network.graph, data: data, preset: preset(), recipe: recipe, teacher: network.graph)
    var counts: [Int] = []
    while let report = try run.next() { counts.append(report.epochSum.count / recipe.batchSize) }
    #expect(counts == [1, 1, 2, 1, 1, 2])
  }

  @Test func aTeacherSaysTheMeanOfBothSides() throws {
    var n = SmallNetwork()
    let x = n.input([2, 3, 5])
    n.output(n.linear(n.apply(Flatten(), x, name: "flatten"), 30, 4, "classifier"), [4])
    let (rows, width) = (2 * 2 * 3, 5)
    let images = (0..<rows * width).map { Float(($0 * 7) % 11) - 5 }
    let mirrored = (0..<rows * width).map { images[$0 / width * width + width - 1 - $0 % width] }
    let plan = try Plan(n.graph, batch: 2)
    let sides = [images, mirrored].map { side in
      plan.inputs[0].update(from: side, count: side.count)
      plan.forward()
      return Array(UnsafeBufferPointer(start: plan.outputs[0], count: 8))
    }
    #expect(relativeDifference(sides[0], sides[1]) > 0.1)
    for mirrors in [true, false] {
      let teacher = try Teacher(n.graph, scalar: .float32, batch: 2, mirrors: mirrors)
      look(teacher, images)
      let said = Array(UnsafeBufferPointer(start: teacher.outputs[0], count: 8))
      let mean = zip(sides[0], sides[1]).map { 0.5 * ($0 + $1) }
      #expect(relativeDifference(said, mirrors ? mean : sides[0]) < 1e-6)
    }
    // Of images that it remembers, it is asked about the side in question alone.
    let teacher = try Teacher(n.graph, scalar: .float32, batch: 2, mirrors: true, images: 7)
    var origins = [3, 5].map { ImageSide(index: $0, isMirrored: false) }
    look(teacher, images, from: origins)
    for k in 0..<8 { #expect(abs(teacher.outputs[0][k] - sides[0][k]) < 1e-5) }
    origins[1].isMirrored = true
    let others = images.map { 2 * $0 }
    plan.inputs[0].update(from: others, count: others.count)
    plan.forward()
    look(teacher, others, from: origins)
    for k in 0..<8 {
      let said = plan.outputs[0][k]
      let mean = k < 4 ? said : 0.5 * (said + sides[0][k])
      #expect(abs(teacher.outputs[0][k] - mean) < 1e-5)
    }
  }

  private func look(_ teacher: Teacher, _ images: [Float], from origins: [ImageSide] = []) {
    images.withUnsafeBufferPointer { buffer in
      teacher.look(at: [buffer.baseAddress].compactMap { $0 }, from: origins)
    }
  }

  @Test func mapsAreNotAveragedOverBothSides() throws {
    var n = SmallNetwork()
    n.output(n.conv(n.input([3, 8, 8]), [4, 3, 1, 1], "a"), [4, 8, 8])
    #expect(try !Teacher(n.graph, scalar: .float32, batch: 2, mirrors: true).seesBothSides)
  }

  @Test func teachersOfOtherShapesAreRefused() throws {
    var fixed = network.graph
    fixed.inputs[0].dimensions[0] = .fixed(1)
    var n = SmallNetwork()
    let features = n.apply(Flatten(), n.input([3, 32, 32]), name: "flatten")
    n.output(n.linear(features, 3072, 3, "classifier"), [3])
    for (teacher, shape) in [(fixed, [1, 3, 32, 32]), (n.graph, [64, 3])] {
      var recipe = try recipe(epochs: 1)
      recipe.loss = Objective(teacherWeight: 0.5)
      #expect(
        throws: TrainingError.teacherShape(
          teacher: shape, network: [64] + (shape[0] == 1 ? [3, 32, 32] : [10]))
      ) {
        try TrainingRun(
          network.graph, data: data, preset: preset(), recipe: recipe, teacher: teacher)
      }
    }
  }

  @Test func networksThatDoNotFitTheDataAreRefused() throws {
    #expect(throws: TrainingError.classCount(network: 3, data: 10)) {
      var n = SmallNetwork()
      let x = n.input([3, 32, 32])
      n.output(n.linear(n.apply(Flatten(), x, name: "flatten"), 3072, 3, "classifier"), [3])
      _ = try Evaluator(n.graph, data: data, preset: preset())
    }
    #expect(throws: TrainingError.inputShape(name: nil, network: [1, 28, 28], data: [3, 32, 32])) {
      var n = SmallNetwork()
      let x = n.input([1, 28, 28])
      n.output(n.linear(n.apply(Flatten(), x, name: "flatten"), 784, 10, "classifier"), [10])
      try n.graph.check(fits: data)
    }
  }
}
