import NapData
import NapEngine
import NapGraph
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
  /// Images the loss is measured on.
  public var images = 512
  public var curvatureImages: Int?
  public var largestFactor = 4608
  public var seed: UInt64 = 0

  public init(source: DataSource) { self.source = source }

  /// The measured loss is the divergence from what the network said before, in nats, on training
  /// images; the other weights make up for a channel where the criterion has them do so.
  public func run(_ network: Network, progress: @escaping ProgressHandler = { _ in }) throws
    -> SensitivityReport
  {
    let chosen = try criteria.isEmpty ? allCriteria : criteria.map(Pruning.criterion)
    let graph = network.graph.logits
    let data = try source.open(.train, imageShape: network.imageShape)
    try graph.check(fits: data)
    let (rest, heldOut) = data.split(
      holdingOut: min(max(1, data.count / 2), images), seed: Seed(seed))
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
      let session = PruningSession(
        original: graph, preset: source.preset, all: data, training: rest, validation: heldOut,
        criterion: criterion, settings: settings, budget: nil, affordableImages: nil,
        latencies: nil, directory: nil, finished: { Network($0) }, progress: progress)
      let model = try session.model(of: graph, round: 1)
      let scorer = criterion.init()
      let predicted = sample.map { scorer.score(of: model.units.units[$0.unit], in: model) }
      if measured[criterion.compensates] == nil {
        let meter = try LossMeter(graph, heldOut, source.preset)
        var losses: [Double] = []
        for (index, channel) in sample.enumerated() {
          let copy = model.copy()
          copy.remove(channel.unit, compensating: criterion.compensates)
          losses.append(try meter.divergence(of: try copy.results().masked))
          try progress(
            WorkProgress(
              stage: criterion.compensates ? "removing with compensation" : "removing",
              step: index + 1, steps: sample.count))
        }
        measured[criterion.compensates] = losses
      }
      let losses = measured[criterion.compensates] ?? []
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
      sets: sets, images: heldOut.count, trials: trials)
  }

  private struct Channel {
    var unit: Int
    var set: Int
  }

  private static func sample(_ sets: [[Int]], perSet count: Int, seed: Seed) -> [Channel] {
    sets.enumerated().flatMap { set, members in
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

/// Measures how far the outputs of changed networks are from those of the original.
private final class LossMeter {
  private let plan: Plan
  private let original: Graph
  private let batches: [(pixels: [Float], count: Int)]
  private let teacher: [[[Float]]]

  init(_ graph: Graph, _ data: any Dataset, _ preset: Preset) throws {
    original = graph
    let batch = graph.batchSize(upTo: min(64, data.count))
    let plan = try Plan(graph, batch: batch)
    let epoch = Loader(
      dataset: data, preset: preset, batchSize: batch, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0)
    ).epoch(0)
    self.plan = plan
    var batches: [(pixels: [Float], count: Int)] = []
    while let batch = try epoch.next() {
      let count = batch.count * data.imageShape.product
      batches.append((Array(UnsafeBufferPointer(start: batch.pixels, count: count)), batch.count))
    }
    self.batches = batches
    teacher = batches.map { Self.outputs(plan, $0.pixels) }
  }

  private static func outputs(_ plan: Plan, _ pixels: [Float]) -> [[Float]] {
    pixels.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { plan.inputs[0].update(from: base, count: source.count) }
    }
    plan.forward()
    return zip(plan.outputs, plan.outputShapes).map {
      Array(UnsafeBufferPointer(start: $0, count: $1.product))
    }
  }

  /// In nats for classifiers; see `Imitation`.
  func divergence(of graph: Graph) throws -> Double {
    var plan = plan
    if graph.nodes.map(\.inputs) == original.nodes.map(\.inputs) {
      for (value, tensor) in graph.constants where tensor.isFloat {
        if original.constants[value] != tensor { plan.parameters.set(value, tensor) }
      }
      plan.prepare()
    } else {
      plan = try Plan(graph, batch: plan.batch)
    }
    var sum = LossSum()
    for (batch, before) in zip(batches, teacher) {
      let after = Self.outputs(plan, batch.pixels)
      let outputs = plan.outputShapes.indices.map { index in
        (after[index], before[index], plan.outputShapes[index])
      }
      sum.add(Self.compare(outputs, count: batch.count))
    }
    for (value, tensor) in graph.constants where tensor.isFloat {
      if let old = original.constants[value], old != tensor, plan.parameters.contains(value) {
        self.plan.parameters.set(value, old)
      }
    }
    return sum.meanLoss
  }

  private static func compare(_ outputs: [([Float], [Float], [Int])], count: Int) -> LossSum {
    var sum = LossSum()
    for (after, before, shape) in outputs {
      after.withUnsafeBufferPointer { after in
        before.withUnsafeBufferPointer { before in
          guard let student = after.baseAddress, let teacher = before.baseAddress else { return }
          let part = Imitation(temperature: 1).evaluate(
            [.init(shape: shape, student: student, teacher: teacher)], count: count)
          sum.loss += part.loss / Double(outputs.count)
        }
      }
    }
    sum.count = count
    return sum
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
