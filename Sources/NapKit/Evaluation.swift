package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
public import NapReport
import NapTensor
package import NapTraining

/// Measures a network on a data set.
public struct Evaluation: Sendable {
  public var source: DataSource
  /// `test` or `train`.
  public var split: String
  public var precision: Precision
  public var batchSize: Int

  public init(
    source: DataSource, split: String = "test", precision: Precision = .float32,
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
    guard let split = Split(rawValue: split) else {
      throw UsageError("there is no split '\(split)'", recovery: "choose test or train")
    }
    let data = try source.open(split, imageShape: network.imageShape)
    try network.graph.checkConstants()
    let graph = network.graph.trunk
    try graph.check(fits: data)
    try graph.checkValues(on: data, source.preset, examples: 0..<min(32, data.count))
    let clock = ContinuousClock()
    let start = clock.now
    let sum = try Self.measure(
      graph, data, source.preset, precision.scalar, batchSize: batchSize, progress: progress)
    let seconds = (clock.now - start) / .seconds(1)
    if !sum.loss.isFinite {
      try graph.checkValues(on: data, source.preset, examples: 0..<data.count)
      throw UsageError(
        "the loss is not a number", recovery: "try --precision float32, and check the data")
    }
    return EvaluationReport(
      accuracy: sum.accuracy, loss: sum.meanLoss, count: sum.count,
      imagesPerSecond: Double(sum.count) / max(1e-9, seconds))
  }

  package static func measure(
    _ graph: Graph, parameters: Parameters? = nil, _ data: any Dataset, _ preset: Preset,
    _ scalar: Scalar,
    teacher: Graph? = nil, outputs: Outputs? = nil, batchSize: Int = 200,
    stage: String = "evaluating",
    progress: ProgressHandler
  ) throws -> LossSum {
    let evaluator = try Evaluator(
      graph, parameters: parameters, data: data, preset: preset, teacher: teacher,
      outputs: outputs, batchSize: graph.batchSize(upTo: min(batchSize, max(1, data.count))),
      scalar: scalar)
    while let sum = try evaluator.next() {
      try progress(
        WorkProgress(
          stage: stage, step: sum.count, steps: data.count, images: sum.count, loss: sum.meanLoss,
          accuracy: data.isLabelled ? sum.accuracy : nil,
          agreement: data.isLabelled ? nil : sum.accuracy))
    }
    return evaluator.sum
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
  /// The batch size to use: what is wanted, unless the network has been written for one size only.
  package func batchSize(_ wanted: Int) -> Int {
    if case .fixed(let size)? = inputs.first?.dimensions.first { size } else { wanted }
  }

  /// The batch size to use where the user gives none: no more than what is wanted, and no more than
  /// what fits some bytes of values and gradients.
  package func batchSize(upTo wanted: Int, within bytes: Int = 4 << 30) -> Int {
    if case .fixed(let size)? = inputs.first?.dimensions.first { return size }
    guard let each = try? activationBytes(batch: 1) else { return wanted }
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
