package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
public import NapReport
import NapTensor
package import NapTraining

/// Measures a network on a data set: by its labels, or by how far it agrees with another network.
public struct Evaluation: Sendable {
  public var source: DataSource
  /// `test` or `train`; `nil` for the test split where there is one, or where labels are asked.
  public var split: String?
  public var precision: Precision
  public var batchSize: Int
  /// The network to agree with; `nil` for the labels.
  public var teacher: Network?
  /// What the teacher's outputs are, by name; what is left out is found out.
  public var outputs: [String: OutputChoice] = [:]

  public init(
    source: DataSource, split: String? = nil, precision: Precision = .float32,
    batchSize: Int = 200
  ) {
    self.source = source
    self.split = split
    self.precision = precision
    self.batchSize = batchSize
  }

  public func run(_ network: Network, progress: ProgressHandler = { _ in }) throws
    -> EvaluationReport
  {
    let data = try open(network, progress)
    try network.graph.checkConstants()
    let ends = NetworkEnds(network.graph)
    let own = ends.trunk
    try own.check(fits: data)
    let tasks = teacher == nil ? try TaskRecognition(ends, data: data, said: source.chosenTasks) : nil
    try own.checkValues(on: data, source.preset)
    try source.announce(data, progress)
    let clock = ContinuousClock()
    let start = clock.now
    func report(_ sum: LossSum) -> EvaluationReport {
      EvaluationReport(
        accuracy: sum.accuracy, loss: sum.meanLoss, count: sum.count,
        imagesPerSecond: Double(sum.count) / max(1e-9, (clock.now - start) / .seconds(1)))
    }
    guard let teacher else {
      for remark in tasks?.remarks ?? [] {
        try progress(WorkProgress(stage: "looking at outputs", message: remark))
      }
      let evaluator = try Self.evaluator(
        own, data, source.preset, precision.scalar, outputs: tasks?.outputs, batchSize: batchSize)
      try evaluator.run(to: data.count, progress: progress)
      let sum = evaluator.sum
      if !sum.loss.isFinite {
        try own.checkValues(on: data, source.preset, examples: Array(0..<data.count))
        throw UsageError(
          "the loss is not a number", recovery: "try --precision float32, and check the data")
      }
      if let problem = try Chance(data, evaluator.outputs)?.problem(sum.accuracy, source.preparation(of: data)) {
        try progress(WorkProgress(stage: "evaluating", message: problem))
      }
      var result = report(sum)
      result.measure = Measure(evaluator.outputs, isLabelled: true)
      result.metrics = evaluator.tasks.reports
      if network.isDynamic {
        result.dynamic = try DynamicMeasurement(
          graph: own, data: data, preset: source.preset, outputs: evaluator.outputs,
          whole: network.graph.dynamicWhole ?? Double(network.macs)
        ).report(progress: progress)
      }
      return result
    }
    let recognition = try OutputRecognition(
      teacher.graph, data: data, preset: source.preset, said: outputs, tasks: [:],
      seed: Seed(0))
    try recognition.announce(progress)
    let graph = NetworkEnds(network.graph, like: recognition.ends).trunk
    let batch = graph.batchSize(upTo: min(batchSize, max(1, data.count)))
    try graph.check(taughtBy: recognition.ends.trunk, batch: batch)
    let evaluator = try Evaluator(
      graph, data: Unlabelled(data), preset: source.preset, teacher: recognition.ends.trunk,
      outputs: recognition.outputs, batchSize: batch, scalar: precision.scalar)
    try evaluator.run(to: data.count, progress: progress)
    var result = report(evaluator.sum)
    result.measure = .agreement
    result.outputs = evaluator.agreement.reports(recognition.outputs)
    return result
  }

  private func open(_ network: Network, _ progress: ProgressHandler) throws -> any Dataset {
    guard let split else {
      if let test = try source.openTest(for: network) { return test }
      try progress(
        WorkProgress(stage: "opening data", message: "the data has no test split: train is taken"))
      return try source.open(.train, for: network)
    }
    guard let split = Split(rawValue: split) else {
      throw UsageError(noSuch: "split", split, of: ["test", "train"])
    }
    return try source.open(split, for: network)
  }

  private static func evaluator(
    _ graph: Graph, parameters: Parameters? = nil, _ data: any Dataset, _ preset: Preset,
    _ scalar: Scalar, teacher: Graph? = nil, outputs: Outputs?, batchSize: Int
  ) throws -> Evaluator {
    try Evaluator(
      graph, parameters: parameters, data: data, preset: preset, teacher: teacher,
      outputs: outputs, batchSize: graph.batchSize(upTo: min(batchSize, max(1, data.count))),
      scalar: scalar)
  }

  package static func measure(
    _ graph: Graph, parameters: Parameters? = nil, _ data: any Dataset, _ preset: Preset,
    _ scalar: Scalar,
    teacher: Graph? = nil, outputs: Outputs? = nil, batchSize: Int = 200,
    stage: String = "evaluating", loop: Journal.Loop<Evaluator.State>? = nil,
    progress: ProgressHandler
  ) throws -> LossSum {
    let evaluator = try evaluator(
      graph, parameters: parameters, data, preset, scalar, teacher: teacher, outputs: outputs,
      batchSize: batchSize)
    if let state = loop?.restored { evaluator.state = state }
    try evaluator.run(to: data.count, stage: stage, loop: loop, progress: progress)
    return evaluator.sum
  }
}

extension Evaluator {
  /// Evaluates all batches.
  ///
  /// - Parameter count: examples in all.
  fileprivate func run(
    to count: Int, stage: String = "evaluating", loop: Journal.Loop<State>? = nil,
    progress: ProgressHandler
  ) throws {
    while let sum = try next() {
      let event = WorkProgress(
        stage: stage, step: sum.count, steps: count, images: sum.count, loss: sum.meanLoss,
        score: sum.accuracy, measure: Measure(outputs, isLabelled: isLabelled))
      if let loop { try loop.end(state) { try progress(event) } } else { try progress(event) }
    }
  }
}

extension Network {
  /// Channels, height and width of the first input.
  package var imageShape: [Int] {
    guard let input = graph.inputs.first else { return [] }
    return input.dimensions.dropFirst().map { if case .fixed(let size) = $0 { size } else { 0 } }
  }
}

extension Graph {
  /// The batch size to use where the user gives none: no more than what is wanted, and no more than
  /// what fits some bytes of values and gradients.
  package func batchSize(upTo wanted: Int, within bytes: Int = 4 << 30) -> Int {
    guard isBatchOpen, let each = try? activationBytes(batch: 1) else { return batchSize(wanted) }
    return max(1, min(wanted, bytes / max(1, each)))
  }

  /// The same for training; of few images, so small that an epoch has some steps.
  func trainingBatch(of images: Int) -> Int {
    batchSize(upTo: min(128, max(16, images / 32), max(1, images)))
  }

  /// The same for collecting curvature: nothing depends on the batch then, and the factors want the
  /// memory.
  func curvatureBatch(of images: Int) -> Int {
    batchSize(upTo: min(64, images), within: 2 << 30)
  }

  /// Bytes of all values of a batch and their gradients.
  func activationBytes(batch: Int) throws -> Int {
    let shapes = try shapes(batch: batch)
    return 8 * nodes.flatMap(\.outputs).reduce(0) { $0 + shapes[$1.index].product }
  }
}

extension TrainingRun {
  /// What networks are judged by.
  var measure: Measure { Measure(outputs, isLabelled: isLabelled) }
}
