import Foundation
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapONNX
public import NapReport
import NapTensor
import NapTraining

/// Trains a network, from a file or from nothing.
public struct Training: Sendable {
  public var source: DataSource
  public var epochs = 30
  /// How long to train, in seconds, instead of a number of epochs.
  public var seconds: Double?
  public var batchSize = 128
  /// The peak; `nil` begins at 0.1 and lowers it where the loss is no longer a number.
  public var learningRate: Double?
  public var warmupEpochs = 1.0
  /// One of `schedules`.
  public var schedule = "cosine"
  public var momentum = 0.9
  public var weightDecay = 5e-4
  public var labelSmoothing = 0.0
  /// A network whose outputs are imitated.
  public var teacher: Network?
  /// The weight of the teacher against the labels, in `0...1`.
  public var teacherWeight = 0.9
  public var temperature = 4.0
  public var augments = true
  public var seed: UInt64 = 0
  public var precision = Precision.auto
  /// Whether training computes some results again rather than keep them: less memory, more time.
  public var savesMemory = false
  /// What outputs are, by name, where nap is not to find it out.
  public var outputs: [String: OutputChoice] = [:]
  /// Whether a network without normalizations gets some while it is trained.
  public var restoresNormalizations = true

  public init(source: DataSource) { self.source = source }

  /// The names of the learning-rate schedules.
  public static var schedules: [String] { Schedule.allCases.map(\.rawValue) }

  /// Trains a network of an architecture, or one in a file.
  ///
  /// - Parameters:
  ///   - modelOrArchitecture: the path of an ONNX file, or a name out of `Network.architectures`.
  ///   - inputShapes: sizes, by input name, for inputs the file leaves open and the data does not tell.
  public func network(_ modelOrArchitecture: String, inputShapes: [String: [Int]] = [:]) throws
    -> Network
  {
    if let architecture = Architecture.all.first(where: { $0.name == modelOrArchitecture }) {
      guard inputShapes.isEmpty else {
        throw UsageError(
          "the architecture '\(modelOrArchitecture)' takes its sizes from the data",
          recovery: "leave --input-shape out, or give an ONNX file")
      }
      guard source.preset.layout == .nchw else {
        throw UsageError("the architectures take channels first; leave --layout out")
      }
      let data = try source.open(.train, for: nil)
      return architecture.network(
        imageShape: data.imageShape, classes: data.classNames.count, seed: seed)
    }
    do {
      return try Network(contentsOf: modelOrArchitecture, inputShapes: inputShapes, for: source)
    } catch ONNXError.missingFile {
      let names = Architecture.all.map(\.name)
      let nearest = modelOrArchitecture.nearest(of: names).map { "did you mean \($0)? Or " } ?? ""
      throw UsageError(
        "there is neither a file nor an architecture '\(modelOrArchitecture)'",
        recovery: nearest + "give an ONNX file, or one of \(names.joined(separator: ", "))")
    }
  }

  /// - Parameters:
  ///   - network: what is trained.
  ///   - directory: where what is done is kept, to go on when it was stopped.
  ///   - progress: sees every step; what it throws stops the work.
  /// - Throws: `WorkStopped` when training has to stop; it holds the last good state.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> (network: Network, report: TrainingReport) {
    let journal = directory?.journal ?? Journal()
    let progress = directory?.recording(progress) ?? progress
    guard let schedule = Schedule(rawValue: schedule) else {
      throw UsageError(noSuch: "schedule", schedule, of: Self.schedules)
    }
    let data = try source.open(.train, for: network)
    let test = try source.openTest(for: network)
    var network = network
    network.graph.note(source, of: data)
    try source.announce(data, progress)
    var recipe = TrainingRecipe()
    recipe.epochs = epochs
    recipe.seconds = seconds
    recipe.batchSize = network.graph.batchSize(batchSize)
    recipe.learningRate = learningRate ?? 0.1
    recipe.lowersRate = learningRate == nil
    recipe.warmupEpochs = warmupEpochs
    recipe.schedule = schedule
    recipe.savesMemory = savesMemory
    recipe.optimizer = .init(momentum: Float(momentum), weightDecay: Float(weightDecay))
    recipe.loss = Objective(
      labelSmoothing: Float(labelSmoothing),
      teacherWeight: teacher == nil ? 0 : Float(teacherWeight),
      temperature: Float(temperature))
    if teacher != nil, data.isLabelled { recipe.blendOnceImagesAreKnown() }
    recipe.augments = augments
    recipe.seed = Seed(seed)
    recipe.scalar = precision.scalar
    try teacher?.graph.checkConstants()
    let recognition = try OutputRecognition(
      network.graph, data: data, preset: source.preset, said: outputs, tasks: source.chosenTasks,
      temperatures: [Float(temperature)], seed: Seed(seed))
    let ends = recognition.ends
    try recognition.announce(progress)
    try test.map {
      try TaskRecognition.check($0, like: data, for: ends, said: source.chosenTasks)
    }
    let restored = try RestoredNormalizations(
      ends.trunk, if: restoresNormalizations, data: data, preset: source.preset,
      seed: Seed(seed))
    let trained = try journal.step("training", saving: TrainingRun.State.self) { loop in
      let run = try TrainingRun(
        restored.graph, data: data, preset: source.preset, recipe: recipe,
        teacher: teacher.map { NetworkEnds($0.graph, like: ends).trunk },
        outputs: recognition.outputs)
      if let state = loop.restored { run.restore(state) }
      try WorkStopped.keeping({
        Network(ends.restore(restored.fold(run.parameters.graph)))
      }) {
        while let report = try run.next() {
          try loop.end(run.state) {
            var event = WorkProgress(report, of: run, stage: "training")
            if report.endsEpoch {
              event.message = Self.summary(report, run.measure)
            }
            try progress(event)
          }
        }
      }
      return Trained(
        graph: run.parameters.graph, steps: run.step, epochs: run.step / run.stepsPerEpoch,
        seconds: run.seconds)
    }
    let result = Network(ends.restore(restored.fold(trained.graph)))
    do {
      try result.graph.checkConstants()
      try NetworkEnds(result.graph, like: ends).trunk.checkValues(on: data, source.preset)
    } catch let error as UsageError {
      throw UsageError(
        "training ended in numbers that are none: \(error.problem); nothing was written",
        recovery: "give a smaller --learning-rate")
    }
    let sum = try WorkStopped.keeping({ result }) {
      try journal.step("measuring the result", saving: Evaluator.State.self) { loop in
        try test.map {
          try Evaluation.measure(
            NetworkEnds(result.graph, like: ends).trunk, $0, source.preset, .float32,
            outputs: recognition.outputs, loop: loop, progress: progress)
        }
      }
    }
    var report = TrainingReport(
      accuracy: sum.map { $0.accuracy }, loss: sum?.meanLoss,
      epochs: trained.epochs,
      parameters: result.parameters, macs: result.macs,
      imagesPerSecond: Double(trained.steps * recipe.batchSize) / max(1e-9, trained.seconds),
      seconds: journal.elapsed)
    report.measure = Measure(recognition.outputs, isLabelled: true)
    return (result, report)
  }

  /// What training comes to.
  private struct Trained: Codable {
    var graph: Graph
    var steps: Int
    var epochs: Int
    /// Of training alone.
    var seconds: Double
  }

  private static func summary(_ report: StepReport, _ measure: Measure) -> String {
    let numbers = [
      "epoch \(report.epoch + 1) of \(report.epochs)",
      "loss \(rounded(report.epochSum.meanLoss, 4))",
      "\(measure.rawValue) \(rounded(report.epochSum.accuracy, 2)) %",
    ]
    return numbers.joined(separator: ", ")
  }

  private static func rounded(_ value: Double, _ digits: Int) -> String {
    value.formatted(
      .number.precision(.fractionLength(digits)).locale(.init(identifier: "en_US_POSIX")))
  }
}
