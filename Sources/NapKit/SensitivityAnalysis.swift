import NapData
import NapGraph
import NapKernels
import NapPruning
public import NapReport
import NapTensor
import NapTraining

/// Compares what criteria predict of removing single channels with what removing them does.
public struct SensitivityAnalysis: Sendable {
  public var source: DataSource
  /// Names of criteria; all that score channels where empty.
  public var criteria: [String] = []
  /// Channels that are tried of each set that goes together.
  public var channelsPerSet = 8
  /// Images the loss is measured on, drawn from 32 times as many.
  public var images = 512
  public var curvatureImages: Int?
  public var largestFactor = Pruning.standardLargestFactor
  public var seed: UInt64 = 0
  /// What outputs are, by name, where nap is not to find it out.
  public var outputs: [String: OutputChoice] = [:]

  public init(source: DataSource) { self.source = source }

  /// The measured loss is the divergence from what the network said before, in nats, on training
  /// images; the other weights make up for a channel where the criterion has them do so.
  /// - Parameters:
  ///   - network: the trained network.
  ///   - directory: where what is done is kept, to go on when it was stopped.
  ///   - progress: sees every step; what it throws stops the work.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> SensitivityReport {
    let journal = directory?.journal ?? Journal()
    let progress = directory?.recording(progress) ?? progress
    let chosen = try criteria.isEmpty ? allCriteria : criteria.map(Pruning.criterion)
    let data = try source.open(.train, for: network)
    try source.announce(data, progress)
    let recognition = try OutputRecognition(
      network.graph, data: data, preset: source.preset, said: outputs,
      tasks: source.chosenTasks, seed: Seed(seed))
    try recognition.announce(progress)
    let (graph, outputs) = (recognition.ends.trunk, recognition.outputs)
    try MemoryNeed(graph, largestFactor: largestFactor, granularity: .channels).check()
    let (rest, heldOut) = data.split(
      holdingOut: min(max(1, data.count / 2), LossMeter.poolFactor * images), seed: Seed(seed))
    let meter = try LossMeter(
      graph, outputs: outputs, pool: heldOut, images: images, source.preset, seed: Seed(seed),
      progress: progress)
    let draw = ImageDraw(
      graph, outputs: outputs, from: rest, preset: source.preset, scalar: .float32, seed: Seed(seed)
    )
    var settings = Pruning(source: source)
    settings.curvatureImages = curvatureImages
    settings.largestFactor = largestFactor
    settings.seed = seed
    var reports: [SensitivityReport.Criterion] = []
    var measured: [Bool: [Double]] = [:]
    var predictions: [String: [Double]] = [:]
    let units = try PruningUnits(graph)
    let sample = Self.sample(units.sets, perSet: channelsPerSet, seed: Seed(seed))
    for criterion in chosen {
      let found = try journal.step(criterion.name, saving: [Double].self) { loop in
        let session = PruningSession(
          original: graph, outputs: outputs, preset: source.preset, trainable: data, training: rest,
          validation: heldOut, watch: nil, images: draw, criterion: criterion, settings: settings,
          measured: heldOut,
          budget: nil, affordableImages: nil,
          latencies: nil, directory: nil, finished: { Network($0) }, progress: progress)
        let model = try session.model(of: graph, round: 1)
        let scorer = criterion.init()
        let predicted = sample.map { scorer.score(of: model.units.units[$0.unit], in: model) }
        var losses = measured[criterion.compensates] ?? loop.restored ?? []
        for index in losses.count..<sample.count {
          let copy = model.copy()
          copy.remove(sample[index].unit, compensating: criterion.compensates)
          losses.append(try meter.divergence(of: try copy.results().masked))
          try loop.end(losses) {
            try progress(
              WorkProgress(
                stage: criterion.compensates ? "removing with compensation" : "removing",
                step: index + 1, steps: sample.count))
          }
        }
        return Found(predicted: predicted, measured: losses)
      }
      let (predicted, losses) = (found.predicted, found.measured)
      measured[criterion.compensates] = losses
      predictions[criterion.name] = predicted
      reports.append(
        SensitivityReport.Criterion(
          name: criterion.name, rankCorrelation: rankCorrelation(predicted, losses),
          correlationBySet: Self.bySet(sample, predicted, losses)))
    }
    let names = Self.setNames(graph, units)
    let sets = Set(sample.map(\.set)).sorted().map { set in
      let indices = sample.indices.filter { sample[$0].set == set }
      func mean(_ compensated: Bool) -> Double? {
        measured[compensated].map { losses in
          indices.reduce(0) { $0 + losses[$1] } / Double(indices.count)
        }
      }
      return SensitivityReport.Set(
        layers: names[set], channels: indices.count, loss: mean(false),
        compensatedLoss: mean(true))
    }
    let trials = sample.indices.map { index in
      SensitivityReport.Trial(
        set: sample[index].set, loss: measured[false]?[index],
        compensatedLoss: measured[true]?[index], predicted: predictions.mapValues { $0[index] })
    }
    return SensitivityReport(
      criteria: reports.sorted { ($1.rankCorrelation, $0.name) < ($0.rankCorrelation, $1.name) },
      sets: sets, images: min(images, heldOut.count), trials: trials)
  }

  /// Of one criterion, channel by channel.
  private struct Found: Codable {
    var predicted: [Double]
    var measured: [Double]
  }

  private struct Channel {
    var unit: Int
    var set: Int
  }

  /// Of sets of several channels: the last one of a set never goes.
  private static func sample(_ sets: [[Int]], perSet count: Int, seed: Seed) -> [Channel] {
    sets.enumerated().filter { $0.element.count > 1 }.flatMap { set, members in
      var generator = seed.derived("sample").derived(set).generator()
      return members.shuffled(using: &generator).prefix(count).sorted()
        .map { Channel(unit: $0, set: set) }
    }
  }

  private static func setNames(_ graph: Graph, _ units: PruningUnits) -> [[String]] {
    units.sets.map { members in
      let places = units.units[members[0]].places
      return graph.nodes.filter { node in
        guard let op = node.op as? any AffineOperator else { return false }
        return places[IndexAtoms.Place(value: node.inputs[1], axis: op.weightOutputAxis)] != nil
      }.map(\.name)
    }
  }

  /// The rank correlation within each set, averaged.
  private static func bySet(_ sample: [Channel], _ predicted: [Double], _ measured: [Double])
    -> Double
  {
    let sets = Dictionary(grouping: sample.indices) { sample[$0].set }
    let correlations = sets.sorted { $0.key < $1.key }.map(\.value).filter { $0.count > 2 }
      .map { indices in rankCorrelation(indices.map { predicted[$0] }, indices.map { measured[$0] })
      }
    return correlations.reduce(0, +) / Double(max(1, correlations.count))
  }
}

/// Spearman's rank correlation; ranks of equal numbers are averaged.
package func rankCorrelation(_ a: [Double], _ b: [Double]) -> Double {
  precondition(a.count == b.count)
  func ranks(_ x: [Double]) -> [Double] {
    let order = x.indices.sorted { x[$0] < x[$1] }
    var result = [Double](repeating: 0, count: x.count)
    var first = 0
    while first < order.count {
      var last = first
      while last + 1 < order.count, x[order[last + 1]] == x[order[first]] { last += 1 }
      for k in first...last { result[order[k]] = Double(first + last) / 2 }
      first = last + 1
    }
    return result
  }
  let (x, y) = (ranks(a), ranks(b))
  let mean = Double(max(0, a.count - 1)) / 2
  var (xy, xx, yy) = (0.0, 0.0, 0.0)
  for (p, q) in zip(x, y) {
    xy += (p - mean) * (q - mean)
    xx += (p - mean) * (p - mean)
    yy += (q - mean) * (q - mean)
  }
  return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : 0
}
