import Foundation
import NapData
import NapDynamic
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapOutputs
import NapReport
import NapTensor
import NapTraining

/// Measures what every example of a data set costs in a network with gates, and how that goes with what it is.
struct DynamicMeasurement {
  let graph: Graph
  let data: any Dataset
  let preset: Preset
  let outputs: Outputs
  /// Multiply-accumulates of the network without gates.
  let whole: Double

  /// Of one example.
  private struct Seen {
    var macs: Double
    /// 0 where nothing says what is right.
    var loss: Double
    var isRight: Bool
    var label: Int
  }

  private var isLabelled: Bool { data.isLabelled && outputs.isClassifier }

  /// - Parameters:
  ///   - original: the network without gates, to time beside it; `nil` for none.
  ///   - keep: keeps a picture (PNG) of the examples that cost least and most, and says under which name.
  func report(
    beside original: Graph? = nil, keep: ((Data) -> String?)? = nil,
    progress: ProgressHandler
  ) throws -> DynamicReport {
    let cost = try GatedCost(graph)
    let seen = try examples(cost, progress)
    var report = DynamicReport(
      whole: whole, macs: seen.map(\.macs), least: cost.least, most: cost.most,
      threshold: Double(graph.gateThreshold))
    func parts(_ all: [Seen], _ count: Int, _ name: (Int) -> String) -> [DynamicReport.Group] {
      (0..<count).map { k in
        group(name(k), all[all.count * k / count..<all.count * (k + 1) / count])
      }
    }
    if seen.count >= 10 {
      report.deciles = parts(seen.sorted { $0.macs < $1.macs }, 10) { "\(10 * $0 + 10) %" }
    }
    if isLabelled, seen.count >= 5 {
      report.difficulties = parts(seen.sorted { $0.loss < $1.loss }, 5) { "\(20 * $0 + 20) %" }
      report.classes = data.classNames.enumerated().compactMap { index, name in
        let own = seen.filter { $0.label == index }
        return own.isEmpty ? nil : group(name, own[...])
      }
    }
    if let keep { report.sheet = try contactSheet(seen.map(\.macs)).flatMap(keep) }
    (report.milliseconds, report.millisecondsBefore) = try times(original, progress)
    return report
  }

  private func group(_ name: String, _ seen: ArraySlice<Seen>) -> DynamicReport.Group {
    let count = Double(max(1, seen.count))
    return DynamicReport.Group(
      name: name, examples: seen.count,
      macs: seen.reduce(0) { $0 + $1.macs } / count / whole,
      accuracy: isLabelled ? 100 * Double(seen.count { $0.isRight }) / count : nil)
  }

  /// Images of the cheapest and of the dearest on a sheet.
  private static let pictures = 48

  /// - Parameter macs: of every example.
  private func contactSheet(_ macs: [Double]) throws -> Data? {
    guard data.inputs[0].shape.count == 3 else { return nil }
    let order = macs.indices.sorted { (macs[$0], $0) < (macs[$1], $1) }
    let each = min(Self.pictures, order.count / 2)
    let chosen = Array(order.prefix(each) + order.suffix(each).reversed())
    var images: [Float] = []
    let epoch = loader(16, of: Subset(data, indices: chosen)).epoch(0)
    while let batch = try epoch.next() {
      images += UnsafeBufferPointer(
        start: batch.inputs[0], count: batch.count * data.inputs[0].count)
    }
    return ContactSheet(
      images: Tensor(shape: [chosen.count] + data.inputs[0].shape, floats: images)
        .pictures(of: preset),
      groups: [Array(0..<each), Array(each..<chosen.count)], marked: []
    ).encoded()
  }

  private func examples(_ cost: GatedCost, _ progress: ProgressHandler) throws -> [Seen] {
    let shown = try graph.showingSaliencies()
    let batch = shown.batchSize(upTo: min(128, max(1, data.count)))
    let plan = try Plan(shown, batch: batch)
    let own = graph.outputs.count
    let epoch = loader(batch).epoch(0)
    var result: [Seen] = []
    while let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      var saliencies = Saliencies(cost)
      saliencies.add(plan.outputs[own...], count: images.count)
      let macs = saliencies.macs()
      let losses =
        isLabelled
        ? Objective().losses(
          of: plan.outputs, outputs, targets: images.targets, teacher: nil, count: images.count)
        : []
      for n in 0..<images.count {
        let classes = plan.outputShapes[0].dropFirst().product
        let said = (0..<classes).max {
          plan.outputs[0][n * classes + $0] < plan.outputs[0][n * classes + $1]
        }
        let label = isLabelled ? Int(images.targets[0][n]) : -1
        result.append(
          Seen(
            macs: macs[n], loss: isLabelled ? losses[n] : 0, isRight: said == label, label: label))
      }
      try progress(
        WorkProgress(stage: "counting MACs", step: result.count, steps: data.count))
    }
    return result
  }

  private func loader(_ batch: Int, of some: (any Dataset)? = nil) -> Loader {
    Loader(
      dataset: some ?? data, preset: preset, batchSize: batch, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0))
  }

  /// Examples that are timed, and how often each is.
  private static let (timed, turns) = (200, 3)

  /// Milliseconds of one example at a time, in turns with the other network.
  private func times(_ original: Graph?, _ progress: ProgressHandler) throws -> (
    own: DynamicReport.Spread, before: DynamicReport.Spread?
  ) {
    let plans = try ([graph] + [original].compactMap { $0 }).map { try Plan($0, batch: 1) }
    var all = plans.map { _ in [Double]() }
    let epoch = loader(1).epoch(0)
    while all[0].count < Self.timed, let image = try epoch.next() {
      for plan in plans { plan.setInputs(image.inputs, count: 1) }
      let measured = measuredTimes(
        of: plans.map { plan in { plan.forward() } }, rounds: Self.turns...Self.turns, seconds: 0)
      for (k, time) in measured.enumerated() { all[k].append(1000 * time.median) }
      try progress(
        WorkProgress(
          stage: "timing examples", step: all[0].count, steps: min(Self.timed, data.count)))
    }
    let spreads = all.map { DynamicReport.Spread($0) }
    return (spreads[0], spreads.dropFirst().first)
  }
}

// MARK: What a file says of its gates
extension Graph {
  /// Keys of metadata: multiply-accumulates of the network without gates, and, by threshold, those of an example
  /// in the mean.
  private static let (wholeKey, thresholdsKey) = (dynamicKey, "nap.thresholds")
  /// See `GateStatistics`.
  private static let statisticsKey = "nap.statistics"

  /// Notes what the gates were made for.
  ///
  /// - Parameter statistics: with each of these thresholds, see `GateStatistics.read`.
  mutating func noteGates(
    whole: Double, curve: [(threshold: Float, macs: Double)], statistics: [[Float]]
  ) {
    if !statistics.isEmpty {
      note([
        (Self.statisticsKey, GateStatistics(of: self, others: statistics).text(of: self))
      ])
    }
    note([
      (Self.wholeKey, String(format: "%.0f", whole)),
      (
        Self.thresholdsKey,
        curve.map { "\($0.threshold):\(String(format: "%.0f", $0.macs))" }.joined(separator: " ")
      ),
    ])
  }

  /// Multiply-accumulates of the network without gates, where the file says that there are some.
  var dynamicWhole: Double? {
    metadata.first { $0.key == Self.wholeKey }.flatMap { Double($0.value) }
      .flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
  }

  /// By threshold, the lowest first.
  private var gateCurve: [(threshold: Float, macs: Double)] {
    let text = metadata.first { $0.key == Self.thresholdsKey }?.value ?? ""
    return text.split(separator: " ").compactMap { pair -> (threshold: Float, macs: Double)? in
      let parts = pair.split(separator: ":")
      guard parts.count == 2, let threshold = Float(parts[0]), let macs = Double(parts[1]),
        threshold.isFinite, macs.isFinite
      else { return nil }
      return (threshold, macs)
    }.sorted { $0.threshold < $1.threshold }
  }

  /// The network with the threshold at which examples cost a share of the multiply-accumulates in the mean; `nil`
  /// where there are no gates, or nothing is known of other thresholds.
  ///
  /// - Throws: `UsageError` where that share was not looked at.
  func spending(_ share: Double) throws -> Graph? {
    let curve = gateCurve
    guard let whole = dynamicWhole, let low = curve.last, let high = curve.first else { return nil }
    let macs = share * whole
    guard (low.macs...max(low.macs, high.macs)).contains(macs) else {
      throw UsageError(
        String(
          format: "thresholds were tried for %.1f to %.1f %% of the MACs, not for %.1f",
          100 * low.macs / whole, 100 * high.macs / whole, 100 * share),
        recovery: "ask for something in between, or prune anew")
    }
    let next = curve.indices.dropFirst().first { curve[$0].macs <= macs } ?? curve.count - 1
    let (a, b) = (curve[max(0, next - 1)], curve[next])
    let part = a.macs > b.macs ? Float((a.macs - macs) / (a.macs - b.macs)) : 0
    var result = try settingGates(
      threshold: a.threshold + part * (b.threshold - a.threshold))
    if let text = metadata.first(where: { $0.key == Self.statisticsKey })?.value,
      var statistics = GateStatistics(text, of: self, count: curve.count)
    {
      statistics.move(&result, to: max(0, next - 1), part: part)
      result.note([(Self.statisticsKey, statistics.text(of: result))])
    }
    return result
  }
}

extension Network {
  /// Whether it decides for every example which channels are computed.
  public var isDynamic: Bool {
    (try? graph.shapes(batch: 1)).map { !graph.gates($0).isEmpty } ?? false
  }

  /// The network with other thresholds in its gates: with which examples cost a share of the multiply-accumulates
  /// of the original in the mean; `nil` of a network without gates.
  ///
  /// - Throws: `UsageError` where that is outside of what was tried when it was pruned.
  public func spending(macs share: Double) throws -> Network? {
    try graph.spending(share).map { Network($0) }
  }
}
