import Foundation
import NapData
import NapDynamic
import NapGraph
import NapKernels
import NapPruning
public import NapReport
import NapSearch
import NapTensor
import NapTraining

/// Makes a network smaller: the main job.
public struct Pruning: Sendable {
  /// What is removed.
  public enum Granularity: Sendable, Hashable, CustomStringConvertible {
    /// Whole channels: a smaller, faster network.
    case channels
    /// Single weights: zeros.
    case weights
    /// Single weights, so that `kept` of every `size` neighbouring input channels stay.
    case pattern(kept: Int, size: Int)

    /// `channels`, `weights`, or a pattern such as `2:4`.
    public init?(_ text: String) {
      switch text {
      case "channels": self = .channels
      case "weights": self = .weights
      default:
        let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let kept = numbers[0], let size = numbers[1],
          0 < kept, kept < size, size <= 64
        else { return nil }
        self = .pattern(kept: kept, size: size)
      }
    }

    public var description: String {
      switch self {
      case .channels: "channels"
      case .weights: "weights"
      case .pattern(let kept, let size): "\(kept):\(size)"
      }
    }
  }

  /// What is wanted.
  public enum Goal: Sendable, Hashable {
    /// Keep at most this share of the multiply-accumulates.
    case macs(Double)
    /// Keep at most this share of the parameters.
    case parameters(Double)
    /// Take at most this share of the time, as a table predicts it.
    case latency(Double)
    /// Set this share of the weights to zero.
    case sparsity(Double)
    /// Remove as much as can go for at most this many percentage points.
    case maxDrop(Double)
  }

  /// How the steps of training are made from gradients.
  public enum Optimizer: String, Sendable, CaseIterable {
    /// Stochastic gradient descent that the Kronecker factors of the curvature point to the minimum.
    case kfac
    /// Stochastic gradient descent.
    case sgd
  }

  /// What is computed is decided for every example anew.
  public struct Dynamic: Sendable, Hashable {
    /// What gates decide about.
    public enum Gates: String, Sendable, CaseIterable {
      /// Whether a larger network is asked, after a small one has answered.
      case network
      /// Which channels of every layer are computed.
      case channels
    }

    /// `nil` for the network where its output tells classes, else channels.
    public var gates: Gates?
    /// Channels that are open or closed together: what kernels compute at once.
    public var block: Int
    /// What is left of the multiply-accumulates for good, in `0...1`: in the small network, or when gates of
    /// channels come; `nil` leaves it to nap.
    public var staticShare: Double?
    /// How much it counts that gates judge images alike that look alike, at least 0; 1 where it was published.
    public var similarity: Double

    public init(
      gates: Gates? = nil, block: Int = 8, staticShare: Double? = nil, similarity: Double = 0
    ) {
      self.gates = gates
      (self.block, self.staticShare, self.similarity) = (block, staticShare, similarity)
    }
  }

  public var source: DataSource
  /// Gates, for `Goal.macs` or `Goal.latency`, which mean the mean of examples then; `nil` for none.
  public var dynamic: Dynamic?
  /// Whether a classifier that does no better than guessing is pruned, too.
  public var allowsChance = false
  public var granularity = Granularity.channels
  public var goal = Goal.maxDrop(1)
  /// Epochs of fine-tuning; 0 means one shot; `nil` leaves it to nap.
  public var epochs: Int?
  /// How long the whole job may take, in seconds; then epochs are not counted.
  public var seconds: Double?
  /// Whether nothing is trained.
  public var isOneShot: Bool { seconds == nil && epochs == 0 }
  /// A network whose outputs fine-tuning imitates, such as a larger one; `nil` for the original.
  public var teacher: Network?
  /// The name of the criterion.
  public var criterion = "nap"
  /// The name of what decides how wide layers are; `ranking` leaves that to the criterion's ranking of all
  /// channels.
  public var allocator = ranking
  /// How much less a layer counts that resembles the others, for the allocator `itpruner`: of shares in all
  /// similarities as published (`linear`), else of their standard deviations; `nil` leaves it to nap.
  public var beta: Double?
  /// How many networks the allocator `metapruning` tries.
  public var candidates = AllocatorSettings().candidates
  public var seed: UInt64 = 0
  public var precision = Precision.auto
  /// Whether training computes some results again rather than keep them: less memory, more time.
  public var savesMemory = false
  /// The peak learning rate of fine-tuning; `nil` leaves it to nap, which lowers it where the loss
  /// is no longer a number.
  public var learningRate: Double?
  /// How networks are fine-tuned.
  public var optimizer = Optimizer.kfac
  /// Added to the Kronecker factors, see `KroneckerFactors`.
  public var damping = standardDamping
  public static let standardDamping = 1e-3
  /// Images the curvature is collected from, each time; `nil` leaves it to nap.
  public var curvatureImages: Int?
  /// Inputs of a layer that are taken for correlated with each other; more are split into blocks.
  public var largestFactor = standardLargestFactor
  public static let standardLargestFactor = 4608
  /// Rounds in which channels are removed; single weights take twice as many.
  ///
  /// The curvature is collected anew each time; `nil` leaves the number to nap.
  public var rounds: Int?

  /// A file of latencies to decide by; `nil` measures them here, see `Latency`.
  public var latencyTable: String?
  /// Images that go through at once where latencies are measured.
  public var latencyBatch = 1
  /// What is left of every set of channels is a multiple of this; `nil` leaves it to nap, by how many
  /// there are.
  public var multiple: Int?

  /// Whether a network without normalizations gets some while it is worked on.
  public var restoresNormalizations = true

  /// What outputs are, by name, where nap is not to find it out.
  public var outputs: [String: OutputChoice] = [:]

  /// Instead of what `criterion` names, see `setCriterion(_:)`.
  var ownCriterion: (any Criterion.Type)?
  /// What a program of the user's measures before and after; `nil` for nothing.
  public var metric: UserMetric?
  /// Whether `Goal.maxDrop` is about `metric`, in its own units.
  public var isJudgedByMetric = false

  /// Names of nodes whose outputs must keep all their channels.
  public var frozenNodes: [String] = []

  public init(source: DataSource) { self.source = source }

  /// Names and summaries of the criteria.
  public static var criteria: [(name: String, summary: String)] {
    allCriteria.map { ($0.name, $0.summary) }
  }

  /// Names and summaries of what decides how wide layers are; variants are named `NAME:VARIANT`.
  public static var allocators: [(name: String, summary: String)] {
    [(ranking, "one ranking of all channels by the criterion decides (default)")]
      + allAllocators.flatMap { allocator in
        [(allocator.name, allocator.summary)]
          + allocator.variants.map { ("\(allocator.name):\($0.name)", $0.summary) }
      }
  }

  /// No allocator.
  public static let ranking = "ranking"

  /// - Throws: `UsageError` when there is none of that name.
  static func criterion(_ name: String) throws -> any Criterion.Type {
    if let criterion = allCriteria.first(where: { $0.name == name }) { return criterion }
    throw UsageError(noSuch: "criterion", name, of: allCriteria.map { $0.name })
  }

  /// Prunes a network; the test split serves the report only.
  ///
  /// - Parameters:
  ///   - network: the trained network.
  ///   - directory: where networks on the way are kept, and what is done, to go on when it was stopped.
  ///   - progress: sees every step; what it throws stops the work.
  /// - Throws: `WorkStopped` when training has to stop; it holds the last good state.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> (network: Network, report: PruningReport) {
    let progress = directory?.recording(progress) ?? progress
    return try run(
      network, journal: directory?.journal ?? Journal(), directory: directory, progress: progress)
  }

  /// - Parameter before: where it is known.
  func run(
    _ network: Network, journal: Journal, directory: RunDirectory?, before: Before? = nil,
    progress: @escaping ProgressHandler
  ) throws -> (network: Network, report: PruningReport) {
    let start = journal.elapsed
    let job = try prepared(
      network, journal: journal, directory: directory, before: before, start: start,
      progress: progress)
    let (session, restored, ends) = (job.session, job.restored, job.ends)
    let outcome: PruningOutcome
    do {
      outcome = try prune(session)
      if outcome.curve.isEmpty {
        try session.keepResult(outcome.state, macs: outcome.meanMACs)
      }
    } catch var stopped as WorkStopped {
      stopped.lastGood.graph = ends.restore(restored.fold(stopped.lastGood.graph))
      throw stopped
    }
    let smaller = restored.fold(outcome.state.graph)
    var restoredEnds = ends.restore(smaller)
    restoredEnds.note(
      [
        ("nap.version", Runtime.version), ("nap.pruned", granularity.description),
        ("nap.criterion", self.criterion), ("nap.allocator", self.allocator),
        ("nap.goal", goalName + (goalValue.map { " \($0)" } ?? "")),
        ("nap.macs", "\(network.macs) -> \(Network(restoredEnds).macs)"),
      ])
    let result = Network(restoredEnds)
    try check(result.graph)
    let after = try WorkStopped.keeping({ result }) {
      try job.measure.accuracy(of: smaller, "measuring the result")
    }
    var report = PruningReport(
      accuracyBefore: job.accuracyBefore, accuracyAfter: after, macsBefore: network.macs,
      macsAfter: result.macs,
      parametersBefore: network.parameters, parametersAfter: result.parameters,
      nonzeroAfter: result.nonzeroParameters, layers: Self.layers(network.graph, result.graph),
      curve: outcome.curve, seconds: journal.elapsed - start,
      verified: outcome.state.isVerified && Self.keepsZeros(outcome.state),
      criterion: self.criterion,
      granularity: granularity.description, seed: seed)
    report.preparation = source.preparation(of: job.measure.data)
    report.measure = job.measure.measure
    if let metric, let before = job.metricBefore {
      report.metric = try WorkStopped.keeping({ result }) {
        PruningReport.Metric(
          command: metric.command, before: before,
          after: try journal.step("running the metric") { try metric.value(of: result) })
      }
    }
    report.allocator = session.allocator == nil ? nil : allocator
    report.allocation = outcome.allocation
    report.goal = goalName
    report.goalValue = goalValue
    (report.examples, report.isTest) = (job.measure.data.count, job.measure.isTest)
    report.multiple = multiple
    report.outputs = try session.watch?.reports(of: smaller) ?? []
    if !outcome.state.functions.isEmpty { report.functions = outcome.state.functions }
    if dynamic != nil {
      let measured = try WorkStopped.keeping({ result }) {
        try DynamicMeasurement(
          graph: smaller, data: job.measure.data, preset: source.preset,
          outputs: job.measure.outputs, whole: Double(network.macs)
        ).report(
          beside: job.measure.original,
          keep: { session.directory?.keep(picture: $0, RunDirectory.Name.examples) },
          progress: progress)
      }
      report.dynamic = measured
      report.macsAfter = Int(measured.macs.mean * measured.whole)
    }
    if granularity == .channels {
      // How long what examples decide about takes, real ones tell.
      if dynamic == nil {
        report.latency = try latency(network, result, predictedBy: session.latencies)
      }
      report.removals = outcome.state.removals.isEmpty ? nil : outcome.state.removals
      report.frozen = try PruningUnits(job.measure.original).frozenReport(job.measure.original)
    }
    report.bytesBefore = network.fileSize
    report.bytesAfter = result.fileSize
    if granularity != .channels { report.sparseBytes = result.fileSizes }
    return (result, report)
  }

  /// - Throws: `UsageError` when some weight is no number.
  private func check(_ graph: Graph) throws {
    if let broken = graph.brokenConstant {
      throw UsageError(
        "'\(graph.name(of: broken))' of the pruned network is not finite; nothing was written",
        recovery: "ask for less, or give a larger --damping")
    }
  }

  private func prune(_ session: PruningSession) throws -> PruningOutcome {
    if let similarity = dynamic?.similarity, !(0...1000).contains(similarity) {
      throw UsageError("--gate-similarity must lie between 0 and 1000")
    }
    switch (goal, granularity) {
    case (.macs(let share), .channels) where dynamic != nil:
      return try session.pruneDynamically(dynamic ?? Dynamic(), .macs, keeping: share)
    case (.latency(let share), .channels) where dynamic != nil:
      return try session.pruneDynamically(dynamic ?? Dynamic(), .latency, keeping: share)
    case _ where dynamic != nil:
      throw UsageError(
        "what examples cost in the mean is multiply-accumulates of channels, or time",
        recovery: "give --macs or --latency, and whole channels")
    case (_, .pattern(let kept, let size)):
      return try session.pruneWeights(.pattern(WeightPattern(kept: kept, of: size)))
    case (.macs(let share), .channels): return try session.pruneChannels(.macs, keeping: share)
    case (.parameters(let share), .channels):
      return try session.pruneChannels(.parameters, keeping: share)
    case (.latency(let share), .channels):
      return try session.pruneChannels(.latency, keeping: share)
    case (.sparsity(let share), .weights):
      return try session.pruneWeights(.density(1 - share))
    case (.maxDrop(let points), _): return try session.prune(losingAtMost: points)
    case (.macs, .weights), (.parameters, .weights), (.latency, .weights):
      throw UsageError("single weights are pruned to a sparsity, not to MACs, parameters or time")
    case (.sparsity, .channels):
      throw UsageError("channels are pruned to MACs or parameters, not to a sparsity")
    }
  }

  private var goalValue: Double? {
    if case .pattern = granularity { return nil }
    return switch goal {
    case .macs(let value), .parameters(let value), .latency(let value), .sparsity(let value),
      .maxDrop(let value):
      value
    }
  }

  private var goalName: String {
    if case .pattern = granularity { return granularity.description }
    return switch goal {
    case .macs: "macs"
    case .parameters: "parameters"
    case .latency: "latency"
    case .sparsity: "sparsity"
    case .maxDrop: "max_drop"
    }
  }

  var staticShare: Double? { dynamic?.staticShare }
  var gateSimilarity: Double { dynamic?.similarity ?? 0 }

  var rounding: Rounding {
    switch multiple {
    case nil: .automatic
    case 1: .single
    case let multiple?: .multiple(multiple)
    }
  }

  /// How long the networks take here, and what a table predicts.
  private func latency(_ before: Network, _ after: Network, predictedBy table: LatencyTable?) throws
    -> PruningReport.Latency
  {
    var result = try Latency.measured(before, after, batchSize: latencyBatch)
    func predicted(_ network: Network) throws -> Double? {
      try table.map {
        Double(try CostModel(network.graph, latencies: $0).value(.latency)) / 1e6
      }
    }
    result.predictedBefore = try predicted(before)
    result.predictedAfter = try predicted(after)
    return result
  }

  /// Whether every weight that was removed is zero.
  private static func keepsZeros(_ state: PruningSession.State) -> Bool {
    state.masks.allSatisfy { weight, mask in
      guard let tensor = state.graph.constants[weight], tensor.count == mask.isKept.count else {
        return false
      }
      return zip(tensor.floats, mask.isKept).allSatisfy { $1 || $0 == 0 }
    }
  }

  private static func layers(_ before: Graph, _ after: Graph) -> [PruningReport.Layer] {
    guard let shapesBefore = try? before.shapes(batch: 1),
      let shapesAfter = try? after.shapes(batch: 1)
    else { return [] }
    let macsBefore = before.macsByNode(shapes: shapesBefore)
    let macsAfter = after.macsByNode(shapes: shapesAfter)
    let places = after.producers
    let readers = after.consumers
    let names = Set(after.nodes.map(\.name))
    return before.nodes.indices.compactMap { index in
      let node = before.nodes[index]
      guard node.op is any AffineOperator, let weight = before.constants[node.inputs[1]] else {
        return nil
      }
      guard names.contains(node.name) else {
        // With the branch that it was in.
        return PruningReport.Layer(
          name: node.name, type: node.op.name, shapeBefore: weight.shape, shapeAfter: [],
          macsBefore: macsBefore[index], macsAfter: 0, nonzeroAfter: 0)
      }
      guard
        // Where something else gives out what it gave out, it still reads its weight.
        let place = [places[node.outputs[0].index], readers[node.inputs[1].index].first]
          .compactMap({ $0 }).first(where: { after.nodes[$0].op is any AffineOperator }),
        let left = after.constants[after.nodes[place].inputs[1]]
      else { return nil }
      return PruningReport.Layer(
        name: node.name, type: node.op.name, shapeBefore: weight.shape, shapeAfter: left.shape,
        macsBefore: macsBefore[index], macsAfter: macsAfter[place],
        nonzeroAfter: left.floats.reduce(0) { $0 + ($1 == 0 ? 0 : 1) })
    }
  }
}
