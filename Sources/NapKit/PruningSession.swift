import Foundation
import NapCurvature
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapOutputs
import NapPruning
import NapReport
import NapSearch
import NapTensor
import NapTraining

/// What all stages of pruning one network share: data, precision, seed and progress.
struct PruningSession {
  /// The network as it came, or what it is made smaller from.
  var original: Graph
  /// What its outputs are.
  let outputs: Outputs
  let preset: Preset
  /// All training images but the watched ones.
  var trainable: any Dataset
  /// Training images without the held-out ones.
  let training: any Dataset
  /// Held-out training images: what choices are validated on.
  let validation: any Dataset
  /// Held-out images that nothing is trained on; `nil` where nothing is trained or cut.
  let watch: Watch?
  /// The network that is imitated, if it is not the original.
  var imitated: Graph?
  /// Training images that curvature is collected from.
  let images: ImageDraw
  let criterion: any Criterion.Type
  /// `nil` where the criterion's ranking of all channels decides widths, too.
  var allocator: (any Allocator)?
  let settings: Pruning
  /// What the result is measured on: nothing is trained on it, and nobody asks what is right there but to report it.
  let measured: any Dataset
  /// `nil` where epochs are counted instead.
  var budget: Budget?
  /// What comes after the next cut and training: rounds, and images that are trained on, in those of `original`.
  var later: (rounds: Int, images: Double) = (0, 0)
  /// Whether it is still to be said how long the job takes.
  var announces = true
  /// Seconds that measuring a network takes, and on how many examples; 0 where that is not known.
  var measuring: (seconds: Double, examples: Int) = (0, 0)
  /// Images that curvature can be collected from in the time given.
  let affordableImages: Int?
  /// What the time of networks is predicted from; `nil` where it is measured, see `timing`.
  var latencies: LatencyTable?
  /// Where networks on the way are kept.
  let directory: RunDirectory?
  /// What was done before the job was stopped.
  var journal = Journal()
  /// A network without the normalizations that were put back.
  var folded: (Graph) -> Graph = { $0 }
  /// A network as it is to be written.
  let finished: (Graph) -> Network
  var progress: ProgressHandler

  /// The same, with progress that says which part of the work it is.
  func part(
    _ number: Int, of count: Int, _ forecast: Forecast? = nil, kind: String = "round"
  ) -> PruningSession {
    var result = foretelling(forecast)
    let progress = result.progress
    result.progress = { event in
      var event = event
      if count > 1 { event.part = "\(kind) \(number) of \(count)" }
      try progress(event)
    }
    return result
  }

  /// The same, with progress that says how long the job still takes.
  func foretelling(_ forecast: Forecast?) -> PruningSession {
    var result = self
    let (progress, budget) = (progress, budget)
    result.progress = { event in
      var event = event
      if [Self.tuning, Self.thinning].contains(event.stage), event.steps > 0 {
        forecast?.note(images: event.images)
      }
      if event.stage == Self.choosing, event.steps > 0 {
        forecast?.note(candidate: event.step, of: event.steps)
      }
      event.jobSecondsLeft = budget?.jobLeft ?? forecast?.left
      try progress(event)
    }
    return result
  }

  /// The stage in which pruned networks are trained.
  static let tuning = "fine-tuning"
  /// The stage in which single weights go while the network is trained.
  static let thinning = "training"
  /// The stage in which an allocator decides how wide layers are.
  static let choosing = "choosing widths"

  /// What fine-tuning imitates.
  var teacher: Graph { imitated ?? original }
  var seed: Seed { Seed(settings.seed) }
  var scalar: Scalar { settings.precision.scalar }

  /// A network on the way.
  struct State: Codable {
    var graph: Graph
    /// Which elements of the weights are kept; empty where whole channels are cut.
    var masks: [ValueID: Mask] = [:]
    /// Whether every step so far did what it was meant to do.
    var isVerified = true
    /// Who took over from whom, where channels were compared by what they respond to.
    var functions: [FunctionReport] = []
    /// What every cut so far was predicted to cost, where the criterion is a loss.
    var removals: [PruningReport.Removal] = []
  }

  /// Images the normalizations' statistics are estimated from.
  static let statisticsImages = 2048
}

// MARK: Curvature
extension PruningSession {
  /// A network with what the criterion needs to know of it.
  ///
  /// - Parameter criterion: `nil` for the job's own.
  func model(of graph: Graph, for criterion: (any Criterion.Type)? = nil, round: Int) throws
    -> PruningModel
  {
    let evidence = (criterion ?? self.criterion).evidence
    var gradients: [Int: WeightGradients] = [:]
    for case .gradients(let kind) in evidence {
      gradients = try self.gradients(of: graph, kind, round: round)
    }
    let model = try PruningModel(
      graph,
      factors: evidence.contains(.factors)
        ? try factors(of: graph, seed: seed.derived(round)) : [:],
      gradients: gradients, damping: settings.damping,
      keepingInputFactors: settings.granularity != .channels, latencies: latencies,
      seed: seed.derived(round)
    ) { done, layers in
      try progress(WorkProgress(stage: "inverting curvature", step: done, steps: layers))
    }
    if evidence.contains(.removals), settings.granularity == .channels {
      try calibrate(model, round: round)
    }
    for case .functions(let similarity) in evidence {
      try compareFunctions(in: model, by: similarity, round: round)
    }
    return model
  }

  /// Tries the removal of every unit, on as many images as that is worth.
  private func calibrate(_ model: PruningModel, round: Int) throws {
    let count = removalImages(model.removalOperations)
    guard count > 0 else { return }
    let batch = model.graph.curvatureBatch(of: training.count)
    let collector = try RemovalCollector(
      model.graph, directions: model.removalDirections(), outputs: outputs, batch: batch,
      seed: seed.derived("removals").derived(round))
    try collect(count, batch: batch, seed: seed.derived(round), stage: "trying removals") {
      collector.add($0.inputs, weights: $1)
    }
    model.calibrate(collector.takeDerivatives())
  }

  /// Images that removals are tried on, of so many operations each; 0 where only few could be afforded.
  func removalImages(_ operations: Double) -> Int {
    let affordable = Int(Self.removalOperations / max(1, operations))
    return affordable < Self.fewestRemovalImages ? 0 : min(curvatureImages, affordable)
  }

  /// Half a minute or so.
  private static let removalOperations = 4e12
  /// Of fewer, a layer's calibration is the better guess for each of its channels.
  private static let fewestRemovalImages = 128

  /// Large images have so many positions that fewer of them tell as much.
  var curvatureImages: Int {
    if let chosen = settings.curvatureImages { return chosen }
    let wanted = training.imageShape.dropFirst().product > 64 * 64 ? 256 : 1024
    return min(wanted, affordableImages ?? wanted)
  }

  /// Kronecker factors of affine nodes, by node.
  ///
  /// - Parameters:
  ///   - nodes: `nil` for all.
  ///   - largestFactor: `nil` for what the settings say.
  func factors(
    of graph: Graph, nodes: Set<Int>? = nil, largestFactor: Int? = nil, seed: Seed
  ) throws -> [Int: KroneckerFactors] {
    let batch = graph.curvatureBatch(of: training.count)
    let estimator = try CurvatureEstimator(
      graph, outputs: outputs, batch: batch, nodes: nodes,
      largestFactor: largestFactor ?? settings.largestFactor,
      seed: seed)
    try collect(batch: batch, seed: seed, stage: "collecting curvature") {
      estimator.add($0.inputs, weights: $1)
    }
    let factors = estimator.takeFactors()
    if let broken = factors.filter({ !$0.value.isFinite }).keys.min() {
      throw notFinite("the curvature of layer '\(graph.nodes[broken].name)' is")
    }
    return factors
  }

  /// Gradients of all weights, by node.
  private func gradients(of graph: Graph, _ kind: CurvatureKind, round: Int) throws
    -> [Int: WeightGradients]
  {
    let batch = graph.curvatureBatch(of: training.count)
    let collector = try GradientCollector(
      graph, kind: kind, outputs: outputs, batch: batch, seed: seed.derived(round))
    try collect(
      batch: batch, seed: seed.derived(round), drawing: kind == .model,
      stage: "collecting gradients"
    ) {
      collector.add($0.inputs, targets: $0.targets, weights: $1)
    }
    let gradients = collector.takeGradients()
    if let broken = gradients.filter({ !$0.value.isFinite }).keys.min() {
      throw notFinite("the gradients of layer '\(graph.nodes[broken].name)' are")
    }
    return gradients
  }

  /// What is known of a network is not finite.
  struct NotFinite: NapError {
    let problem: String
    var isFinal: Bool { true }
    var recovery: String? {
      "its inputs or gradients are too large: check its weights, the data and --preset"
    }
  }

  private func notFinite(_ what: String) -> NotFinite {
    NotFinite(problem: "\(what) NaN or infinite")
  }

  /// Hands over batches of training images and what these count. Where there are fewer than are wanted, they
  /// come again, as training varies them.
  ///
  /// - Parameter drawing: whether images that the original is unsure of are drawn more often.
  func collect(
    _ count: Int? = nil, batch: Int, seed: Seed, drawing: Bool = true, stage: String,
    _ body: (Batch, [Double]) -> Void
  ) throws {
    let seed = seed.derived(stage)
    let wanted = count ?? curvatureImages
    let steps = max(1, min(training.count, wanted) / batch)
    let passes = preset.varies ? max(1, wanted / (steps * batch)) : 1
    let drawn =
      drawing ? try images.draw(steps * batch, seed: seed, progress: progress) : nil
    for pass in 0..<passes {
      let loader = Loader(
        dataset: drawn?.images ?? training, preset: preset, batchSize: batch,
        shuffle: drawn == nil, augment: pass > 0, dropLast: true, seed: seed)
      let epoch = loader.epoch(pass)
      for step in 0..<steps {
        guard let images = try epoch.next() else { break }
        body(images, drawn.map { Array($0.weights[step * batch..<(step + 1) * batch]) } ?? [])
        let done = pass * steps + step + 1
        try progress(
          WorkProgress(
            stage: stage, step: done, steps: passes * steps, images: done * batch))
      }
    }
  }
}

// MARK: Shrinking
extension PruningSession {
  /// Cuts channels until a cost is at most `target`, or none may go, and checks the cut.
  ///
  /// - Parameter widths: how much stays, where that is decided; the cost is then what that costs.
  func cut(
    _ state: State, cost: Cost, downTo target: Int, keeping widths: WidthGoals? = nil,
    round: Int
  ) throws -> State {
    try journal.step("cutting") {
      // The model is gone before the cut is checked: it takes gigabytes of large networks.
      let (masked, cut, functions, predicted) = try removal(
        from: state.graph, cost: cost, downTo: target, keeping: widths, round: round)
      let isVerified = try agrees(masked, cut)
      return State(
        graph: try better(cut, withFreshStatistics(cut)),
        isVerified: state.isVerified && isVerified, functions: state.functions + functions,
        removals: state.removals + (predicted.map { [$0] } ?? []))
    }
  }

  /// A network without the channels that cost least, the whole one with them set to zero, and what that was
  /// predicted to cost.
  private func removal(
    from graph: Graph, cost: Cost, downTo target: Int, keeping widths: WidthGoals?,
    round: Int
  ) throws -> (
    masked: Graph, cut: Graph, functions: [FunctionReport], predicted: PruningReport.Removal?
  ) {
    let model = try model(of: graph, round: round)
    let start = model.cost.value(cost)
    func report() throws {
      try progress(
        WorkProgress(
          stage: "choosing channels", step: start - model.cost.value(cost),
          steps: max(1, start - target)))
    }
    let predicted: PruningReport.Removal?
    if let widths {
      var selection = UnitSelection(
        model, criterion: criterion.init(), cost: cost, keeping: widths)
      while selection.removeNext() { try report() }
      predicted = self.predicted(by: selection, model)
    } else {
      var selection = selection(in: model, criterion.init(), cost: cost)
      try selection.remove(model, cost, downTo: target, progress: report)
      predicted = self.predicted(by: selection, model)
    }
    let (masked, cut) = try model.results()
    return (masked, cut, reportFunctions(of: model, round: round), predicted)
  }

  /// `nil` where the criterion tells no loss.
  private func predicted(by selection: some ChannelSelection, _ model: PruningModel)
    -> PruningReport.Removal?
  {
    guard criterion.isLoss, selection.removedLoss.isFinite,
      !model.removedUnits.isEmpty || !model.removedBranches.isEmpty
    else { return nil }
    let branches = model.removedBranches.map { model.graph.nodes[model.branches[$0].sum].name }
    return PruningReport.Removal(
      units: model.removedUnits.count, loss: selection.removedLoss,
      nextLoss: selection.nextLoss.flatMap { $0.isFinite ? $0 : nil },
      branches: branches.isEmpty ? nil : branches)
  }

  /// The ranking of all units by what they cost.
  func selection(in model: PruningModel, _ criterion: any Criterion, cost: Cost)
    -> any ChannelSelection
  {
    let units = model.ranking(by: criterion, cost, settings.rounding)
    guard removesBranches(for: cost) else { return units }
    return BranchSelection(
      model, cost: cost, beside: units, compensates: type(of: criterion).compensates,
      weight: settings.isOneShot ? 1 : Self.trainedBranches)
  }

  /// What the loss of a branch counts where training follows: what is left of it then is what is left of a tenth as
  /// much by channels, see docs/method.md.
  private static let trainedBranches = 0.1

  /// Whether a cost is measured here, and not told by a table.
  func isMeasured(_ cost: Cost) -> Bool { cost == .latency && latencies == nil }

  /// Whether whole residual branches may go: where it is time that counts, and the criterion tells losses.
  func removesBranches(for cost: Cost) -> Bool {
    cost == .latency && allocator == nil && criterion.isLoss
      && criterion.evidence.contains(.factors)
  }

  /// Sets single weights to zero.
  ///
  /// - Parameter refreshingStatistics: not needed where training follows, which does the same.
  func thin(
    _ state: State, to level: Thinning, round: Int, refreshingStatistics: Bool = true
  ) throws -> State {
    try journal.step("thinning") {
      let model = try model(of: state.graph, round: round)
      let selection = WeightSelection(model)
      func report(_ step: Int, _ steps: Int) throws {
        try progress(WorkProgress(stage: "choosing weights", step: step, steps: steps))
      }
      let masks =
        switch level {
        case .density(let density):
          try selection.prune(to: 1 - density, criterion: criterion.init(), progress: report)
        case .pattern(let pattern):
          try selection.prune(to: pattern, criterion: criterion.init(), progress: report)
        }
      var result = State(
        graph: model.weighted(), masks: masks.mapValues { Mask($0) }, isVerified: state.isVerified)
      if refreshingStatistics { result.graph = try withFreshStatistics(result.graph) }
      return result
    }
  }

  /// The better of two networks on watched images; the second where both are alike.
  private func better(_ a: Graph, _ b: Graph) throws -> Graph {
    guard let watch, a.parameterRoles.values.contains(.statistic) else { return b }
    return try watch.loss(of: a) < watch.loss(of: b) ? a : b
  }

  /// Whether two networks give the same finite outputs, to 1e-5 of the largest, on some images.
  ///
  /// - Parameter rewritingSecond: whether the second is computed as its operators want it, see `Plan.init`.
  func agrees(_ a: Graph, _ b: Graph, rewritingSecond: Bool = true) throws -> Bool {
    let batch = a.batchSize(upTo: min(32, max(1, training.count)))
    let loader = Loader(
      dataset: training, preset: preset, batchSize: batch, shuffle: false, augment: false,
      dropLast: false,
      seed: seed)
    guard let images = try loader.epoch(0).next() else { return false }
    let results = try [(a, true), (b, rewritingSecond)].map { graph, rewrites in
      let plan = try Plan(graph, batch: batch, rewrites: rewrites)
      return plan.outputs(of: Examples(images, of: training))
    }
    return zip(results[0], results[1]).allSatisfy { a, b in
      guard (a + b).allSatisfy(\.isFinite) else { return false }
      let largest = a.reduce(0) { max($0, abs($1)) }
      return zip(a, b).allSatisfy {
        abs($0 - $1) <= 1e-5 * max(largest, .leastNormalMagnitude)
      }
    }
  }

  /// The network with the statistics of its normalizations estimated anew.
  ///
  /// - Parameters:
  ///   - images: that they are estimated from.
  ///   - augment: whether images are varied as in training.
  ///   - stage: what progress calls it; `nil` for one of many that are tried, without a word.
  func withFreshStatistics(
    _ graph: Graph, images: Int = statisticsImages, augment: Bool = true,
    stage: String? = "estimating statistics"
  ) throws -> Graph {
    guard graph.parameterRoles.values.contains(.statistic) else { return graph }
    let parameters = Parameters(graph)
    let estimation = try StatisticsEstimation(
      graph, parameters: parameters, data: training, preset: preset, images: images,
      batchSize: graph.trainingBatch(of: training.count), scalar: scalar, augment: augment,
      seed: seed)
    var step = 0
    while try estimation.next() {
      step += 1
      guard let stage else { continue }
      try progress(WorkProgress(stage: stage, step: step, steps: estimation.steps))
    }
    return parameters.graph
  }
}
