import NapCurvature
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapPruning
import NapSearch
import NapTensor
import NapTraining

/// What all stages of pruning one network share: data, precision, seed and progress.
struct PruningSession {
  let preset: Preset
  /// Training images without the held-out ones.
  let training: any Dataset
  /// Held-out training images: what choices are validated on.
  let validation: any Dataset
  let scalar: Scalar
  let seed: Seed
  let criterion: any Criterion.Type
  var damping = 1e-3
  /// Images the curvature is collected from, each time.
  var curvatureImages = 1024
  var statisticsImages = 2048
  let progress: ProgressHandler

  /// Kronecker factors of all affine nodes, by node.
  func factors(of graph: Graph, round: Int) throws -> [Int: KroneckerFactors] {
    let batch = graph.batchSize(64)
    let estimator = try CurvatureEstimator(
      graph, scalar: .float32, batch: batch, seed: seed.derived(round))
    let loader = Loader(
      dataset: training, preset: preset, batchSize: batch, shuffle: true, augment: false, dropLast: true,
      seed: seed.derived("curvature").derived(round))
    let epoch = loader.epoch(0)
    let steps = min(loader.batchesPerEpoch, max(1, curvatureImages / batch))
    for step in 0..<steps {
      guard let images = try epoch.next() else { break }
      estimator.add(images.pixels, labels: images.labels)
      try progress(
        WorkProgress(
          stage: "collecting curvature", step: step + 1, steps: steps, images: (step + 1) * batch))
    }
    return estimator.factors
  }

  /// Cuts units until the cost is at most `target`, and checks the cut.
  ///
  /// - Returns: the smaller network, and whether it computes what the masked one computes.
  func cut(_ graph: Graph, cost: Cost, downTo target: Int, round: Int) throws
    -> (graph: Graph, verified: Bool)
  {
    let factors = criterion.needsCurvature ? try factors(of: graph, round: round) : [:]
    let model = try PruningModel(graph, factors: factors, damping: damping)
    var selection = UnitSelection(model, criterion: criterion.init(), cost: cost)
    let start = model.cost.value(cost)
    while model.cost.value(cost) > target {
      guard selection.removeNext() != nil else { break }
      try progress(
        WorkProgress(
          stage: "choosing channels", step: start - model.cost.value(cost), steps: max(1, start - target)))
    }
    let (masked, cut) = try model.results()
    return (cut, try agrees(masked, cut))
  }

  /// Whether two networks give the same outputs, to 1e-5 of the largest, on some validation images.
  func agrees(_ a: Graph, _ b: Graph) throws -> Bool {
    let batch = a.batchSize(32)
    let loader = Loader(
      dataset: validation.count >= batch ? validation : training, preset: preset, batchSize: batch,
      shuffle: false, augment: false, dropLast: false, seed: seed)
    guard let images = try loader.epoch(0).next() else { return false }
    let outputs = try [a, b].map { graph in
      let plan = try Plan(graph, parameters: Parameters(graph), mode: .inference, batch: batch)
      plan.inputs[0].update(from: images.pixels, count: plan.inputShapes[0].product)
      plan.forward()
      return Array(UnsafeBufferPointer(start: plan.outputs[0], count: plan.outputShapes[0].product))
    }
    let largest = outputs[0].reduce(0) { max($0, abs($1)) }
    let difference = zip(outputs[0], outputs[1]).reduce(0) { max($0, abs($1.0 - $1.1)) }
    return difference <= 1e-5 * max(largest, .leastNormalMagnitude)
  }

  /// The network with the statistics of its normalizations estimated anew.
  func withFreshStatistics(_ graph: Graph) throws -> Graph {
    guard graph.parameterRoles.values.contains(.statistic) else { return graph }
    let parameters = Parameters(graph)
    let estimation = try StatisticsEstimation(
      graph, parameters: parameters, data: training, preset: preset, images: statisticsImages,
      batchSize: graph.batchSize(128), scalar: scalar, seed: seed)
    var step = 0
    while try estimation.next() {
      step += 1
      try progress(WorkProgress(stage: "estimating statistics", step: step, steps: estimation.steps))
    }
    return parameters.graph
  }

  /// Percent of the validation images that are classified right.
  func validationAccuracy(of graph: Graph) throws -> Double {
    100 * (try Evaluation.measure(graph, validation, preset, scalar, stage: "validating", progress: progress)).accuracy
  }

  /// The network after training, with the original as its teacher.
  func recovered(_ graph: Graph, teacher: Graph?, recipe: TrainingRecipe, data: (any Dataset)? = nil)
    throws -> Graph
  {
    guard recipe.epochs > 0 else { return graph }
    let run = try TrainingRun(graph, data: data ?? training, preset: preset, recipe: recipe, teacher: teacher)
    while let report = try run.next() { try progress(WorkProgress(report, recipe, stage: "fine-tuning")) }
    return run.parameters.graph
  }
}

extension WorkProgress {
  init(_ report: StepReport, _ recipe: TrainingRecipe, stage: String) {
    self.init(
      stage: stage, step: report.step, steps: report.steps, images: report.step * recipe.batchSize,
      loss: report.epochSum.meanLoss, accuracy: 100 * report.epochSum.accuracy)
  }
}
