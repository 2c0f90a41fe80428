import Foundation
import NapData
import NapGraph
import NapKernels
import NapOutputs
import NapPruning
import NapReport
import NapSearch
import NapTensor
import NapTraining

// MARK: Before the first cut
extension Pruning {
  /// What was measured of the network as it came, and how long that took.
  struct Before: Codable {
    /// In percent.
    var accuracy: Double
    var seconds: Double
  }

  /// Accuracy where nothing is chosen by it.
  struct Measurement {
    /// The test split, or held-out examples where there is none.
    let data: any Dataset
    let isTest: Bool
    let original: Graph
    let outputs: Outputs
    let preset: Preset
    let journal: Journal
    let progress: ProgressHandler

    var measure: Measure { Measure(outputs, isLabelled: data.isLabelled) }

    /// In percent.
    func accuracy(of graph: Graph, _ step: String) throws -> Double {
      try journal.step(step, saving: Evaluator.State.self) { loop in
        try Evaluation.measure(
          graph, data, preset, .float32, teacher: original, outputs: outputs, loop: loop,
          progress: progress
        ).accuracy
      }
    }
  }

  /// A job that is ready for its first cut.
  struct Prepared {
    var session: PruningSession
    let ends: NetworkEnds
    let restored: RestoredNormalizations
    let measure: Measurement
    /// In percent.
    let accuracyBefore: Double
    /// What the user's own metric says of the network as it came.
    let metricBefore: Double?
  }

  /// Checks what was asked for against network and data, and measures the network as it came.
  ///
  /// - Parameters:
  ///   - before: what was measured of it, where that is known.
  ///   - start: when the job began, by its journal.
  func prepared(
    _ network: Network, journal: Journal, directory: RunDirectory?, before: Before? = nil,
    start: Double, progress: @escaping ProgressHandler
  ) throws -> Prepared {
    var network = network
    let criterion = try ownCriterion ?? Self.criterion(criterion)
    let allocator = try namedAllocator()
    guard granularity == .channels || allocator == nil else {
      throw UsageError("an allocator decides how many channels stay; single weights have none")
    }
    guard granularity == .channels || criterion.scoresWeights else {
      throw UsageError(
        "the criterion '\(criterion.name)' scores whole channels, not single weights",
        recovery:
          "choose one of \(allCriteria.filter { $0.scoresWeights }.map { $0.name }.joined(separator: ", "))"
      )
    }
    if case .pattern(_, let size) = granularity { try checkPattern(of: size, fits: network.graph) }
    let names = Set(network.graph.nodes.map(\.name))
    if let unknown = frozenNodes.first(where: { !names.contains($0) }) {
      throw UsageError(
        "the network has no node '\(unknown)'",
        recovery: "nap profile shows the names of all layers"
      )
    }
    let all = try source.open(.train, for: network)
    let test = try source.openTest(for: network)
    if before == nil { try source.announce(all, progress) }
    network.graph.note(source, of: all)
    let recognition = try OutputRecognition(
      network.graph, data: all, preset: source.preset, said: outputs,
      tasks: source.chosenTasks, seed: Seed(seed))
    try recognition.announce(progress)
    let (ends, outputs) = (recognition.ends, recognition.outputs)
    try test.map {
      try TaskRecognition.check($0, like: all, for: ends, said: source.chosenTasks)
    }
    guard all.count >= Self.fewestExamples else {
      throw UsageError(
        "\(all.count) examples are too few: some are held out, and the others tell what matters",
        recovery: "give some hundred, \(Self.fewestExamples) at least")
    }
    if case .maxDrop = goal, all.count < Self.fewestOfPromise {
      throw UsageError(
        "what \(all.count) examples lose promises nothing of others",
        recovery: "give \(Self.fewestOfPromise) at least, or say how small: --macs 0.7")
    }
    if all.count < Self.fewExamples {
      try progress(
        WorkProgress(
          stage: "planning",
          message:
            "only \(all.count) examples: what is found on so few often does not hold for others; give some hundred"
        ))
    }
    var original = ends.trunk
    original.frozenNodes = Set(frozenNodes)
    let (rest, heldOut) = all.split(
      holdingOut: Self.heldOutImages(of: all.count), seed: Seed(seed))
    try teacher?.graph.checkConstants()
    let imitated = teacher.map { NetworkEnds($0.graph, like: ends).trunk }
    let (watched, others) = Watch.split(heldOut, outputs: outputs, seed: Seed(seed))
    // What the original has learned by heart, a smaller one has to learn too, or it is judged unfairly; but
    // it is the original itself that says what is right where there are no labels.
    let trainable = all.isLabelled ? rest.joined(with: others) : rest
    if let imitated {
      let batch = original.trainingBatch(of: trainable.count)
      try original.check(taughtBy: imitated, batch: batch)
    }
    if criterion.evidence.contains(.factors) {
      try MemoryNeed(original, largestFactor: largestFactor, granularity: granularity).check()
    }
    let restored = try RestoredNormalizations(
      original, if: restoresNormalizations, data: all, preset: source.preset, seed: Seed(seed))
    let measure = Measurement(
      data: test ?? heldOut, isTest: test != nil, original: original, outputs: outputs,
      preset: source.preset, journal: journal, progress: progress)
    var (accuracyBefore, measuring) = (before?.accuracy ?? 0, before?.seconds ?? 0)
    if before == nil {
      measuring = try journal.timed {
        accuracyBefore = try measure.accuracy(of: original, "measuring the original")
      }
      try checkChance(accuracyBefore, measure, all, heldOut.indices, network)
    }
    let metricBefore = try metric.map { metric in
      try progress(WorkProgress(stage: "running the metric"))
      return try journal.step("running the metric on the original") {
        try metric.value(of: network)
      }
    }
    if isJudgedByMetric, metric == nil {
      throw UsageError("there is no metric to judge by", recovery: "give one with --metric")
    }
    let budget = try self.seconds.map {
      try Budget(seconds: $0, of: journal, since: start, reserve: Self.reserve * measuring)
    }
    let affordable = budget.map {
      max(64, Int($0.imagesOfCurvature(Double(measure.data.count) / measuring)))
    }
    let watch = try Watch(
      original, outputs: outputs, teacher: imitated ?? original, data: watched,
      preset: source.preset, objective: PruningSession.objective)
    let session = PruningSession(
      original: restored.graph, outputs: outputs, preset: source.preset, trainable: trainable,
      training: rest, validation: heldOut, watch: watch, imitated: imitated,
      images: ImageDraw(
        restored.graph, outputs: outputs, from: rest, preset: source.preset,
        scalar: precision.scalar,
        seed: Seed(seed)),
      criterion: criterion, allocator: allocator, settings: self, measured: measure.data,
      budget: budget,
      measuring: (measuring, measure.data.count), affordableImages: affordable,
      latencies: try toldLatencies(network),
      directory: directory, journal: journal, folded: restored.fold,
      finished: { Network(ends.restore(restored.fold($0))) },
      progress: progress)
    if let budget {
      try progress(
        WorkProgress(
          stage: "planning",
          message: String(
            format:
              "%.0f s in all: %.0f for measuring, curvature from up to %d images a round, the rest for training",
            budget.seconds, budget.seconds - budget.left, session.curvatureImages)))
    }
    return Prepared(
      session: session, ends: ends, restored: restored, measure: measure,
      accuracyBefore: accuracyBefore, metricBefore: metricBefore)
  }

  /// - Parameters:
  ///   - all: training images, which are asked where few are held out.
  ///   - heldOut: which of them are.
  /// - Throws: `ChanceError` when the network does no better than guessing.
  private func checkChance(
    _ accuracy: Double, _ measure: Measurement, _ all: any Dataset, _ heldOut: [Int],
    _ network: Network
  ) throws {
    guard !allowsChance else { return }
    var (data, accuracy) = (measure.data, accuracy)
    var chance = try Chance(data, measure.outputs)
    // Of few with one class for most of them, three errors are more than any network can be better by.
    if data.count < Chance.fewest, let other = try Chance(all, measure.outputs, errors: 1) {
      (data, chance) = (all, other)
      accuracy = try Evaluation.measure(
        measure.original, data, source.preset, .float32, outputs: measure.outputs,
        stage: "measuring the original", progress: measure.progress
      ).accuracy
    }
    guard let problem = chance?.problem(accuracy, source.preparation(of: data)) else { return }
    throw ChanceError(
      problem: problem,
      recovery: measure.data.isOfNumbers
        ? "check the data and the order of classes; --allow-chance goes on anyway"
        : try source.betterPresets(
          for: measure.original, measure.outputs, of: network, indices: heldOut,
          progress: measure.progress))
  }

  /// - Returns: `nil` for the criterion's ranking.
  /// - Throws: `UsageError` when there is none of that name.
  private func namedAllocator() throws -> (any Allocator)? {
    if allocator == Self.ranking { return nil }
    let parts = allocator.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let type = allAllocators.first(where: { $0.name == parts[0] }),
      parts.count == 1 || type.variants.contains(where: { $0.name == parts[1] })
    else { throw UsageError(noSuch: "allocator", allocator, of: Self.allocators.map { $0.name }) }
    var settings = AllocatorSettings()
    settings.beta = beta
    settings.candidates = candidates
    return type.init(
      variant: parts.count > 1 ? String(parts[1]) : type.variants.first?.name ?? "", settings)
  }

  private func toldLatencies(_ network: Network) throws -> LatencyTable? {
    guard case .latency = goal else { return nil }
    return try latencyTable.map { try Latency(contentsOf: $0, for: network).table }
  }

  /// - Throws: `UsageError` when a pattern of so many neighbours would leave every layer as it is.
  private func checkPattern(of size: Int, fits graph: Graph) throws {
    let layers = graph.affineLayers(shapes: try graph.shapes(batch: 1))
    func fits(_ size: Int) -> Bool { layers.contains { $0.inputFeatures % size == 0 } }
    guard !fits(size) else { return }
    let smaller = (2..<size).last(where: fits)
    throw UsageError(
      "no layer has a multiple of \(size) input channels, which \(granularity) shares out",
      recovery: smaller.map { "choose a smaller pattern, such as \(max(1, $0 / 2)):\($0)" }
        ?? "set single weights to zero: --granularity weights --sparsity 0.5")
  }

  private static let fewestExamples = 3
  /// Of them a third is held out; of fewer, one decision that differs is more than what is promised.
  private static let fewestOfPromise = 48
  private static let fewExamples = 64

  /// Measuring and checking the result takes as long as measuring the original, and a little more.
  private static let reserve = 1.2

  /// A tenth, but of few images more: of one or two nothing can be told.
  private static func heldOutImages(of count: Int) -> Int {
    min(max(count / 10, min(16, count / 3)), 5000)
  }
}
