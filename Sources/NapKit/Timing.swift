import NapCurvature
import NapData
import NapEngine
import NapGraph
public import NapReport
import NapTensor
import NapTraining

/// Where the time of one pass goes.
public struct Timing: Sendable {
  public enum Mode: String, Sendable, CaseIterable {
    case inference
    case training
    case curvature
  }

  public var mode: Mode
  public var precision: Precision
  public var batchSize: Int
  /// Whether every step of every node is shown, instead of sums by kind of step.
  public var byNode = false

  /// What training is fed with, to tell whether it waits for that; `nil` for numbers that are there already.
  public var source: DataSource?

  public init(mode: Mode, precision: Precision, batchSize: Int) {
    self.mode = mode
    self.precision = precision
    self.batchSize = batchSize
  }

  /// Times of the steps, the largest first, and of the whole.
  public func run(_ network: Network) throws -> TimingReport {
    if mode == .curvature { return try collection(network.graph) }
    let graph = network.graph
    let plan = try Plan(
      graph, mode: mode == .inference ? .inference : .training,
      scalar: precision.scalar, batch: graph.batchSize(batchSize))
    let optimizer = mode == .training ? NesterovSGD(plan, NesterovSGD.Options()) : nil
    let whole = wholePass(plan, optimizer)
    // Of what the plan has made of it.
    let macs = plan.graph.macsByNode(shapes: try plan.graph.shapes(inputs: plan.inputShapes))
    var entries: [String: TimingReport.Entry] = [:]
    for step in plan.stepTimes(runs: 5) {
      let node = step.node.map { plan.graph.nodes[$0] }
      let key =
        "\(step.label) \(step.implementation) \(byNode ? "\(step.node ?? -1) \(step.layout)" : "")"
      var entry =
        entries[key]
        ?? .init(
          node: byNode ? node?.name : nil, step: step.label, implementation: step.implementation,
          layout: byNode ? step.layout : nil)
      entry.count += 1
      entry.milliseconds += 1000 * step.seconds
      if let index = step.node, let node, node.op is any AffineOperator,
        step.label.hasPrefix(node.op.name)
      {
        entry.operations += 2 * Double(macs[index])
      }
      entries[key] = entry
    }
    if let optimizer {
      var entry = TimingReport.Entry(
        node: nil, step: "update", implementation: "", layout: byNode ? "" : nil)
      entry.count = 1
      entry.milliseconds =
        1000
        * measuredTimes(
          of: [{ _ = optimizer.step(learningRate: 0) }], rounds: 5...5, seconds: 0)[0].median
      entries["update"] = entry
    }
    let sorted = entries.values.sorted {
      ($1.milliseconds, $0.step, $0.node ?? "") < ($0.milliseconds, $1.step, $1.node ?? "")
    }
    var report = TimingReport(
      entries: sorted, milliseconds: 1000 * whole, imagesPerSecond: Double(plan.batch) / whole,
      arenaBytes: plan.arenaBytes)
    report.waitingShare = try source.map { try 100 * waiting(for: $0, network, plan, optimizer) }
    return report
  }

  /// The share of the time that passes over real data wait for them, once the first have come.
  private func waiting(
    for source: DataSource, _ network: Network, _ plan: Plan, _ optimizer: NesterovSGD?
  ) throws -> Double {
    let data = try source.open(.train, for: network)
    try network.graph.check(fits: data)
    let loader = Loader(
      dataset: data, preset: source.preset, batchSize: plan.batch, shuffle: true, augment: true,
      dropLast: true, seed: Seed(0))
    guard loader.batchesPerEpoch > 1 else {
      throw UsageError(
        "\(data.count) examples are not two batches of \(plan.batch)",
        recovery: "give a smaller --batch-size")
    }
    let clock = ContinuousClock()
    var (waited, all) = (0.0, 0.0)
    for epoch in 0... {
      let batches = loader.epoch(epoch)
      var isFirst = true
      var start = clock.now
      while let batch = try batches.next() {
        if !isFirst { waited += (clock.now - start) / .seconds(1) }
        let ready = clock.now
        plan.setInputs(batch.inputs, count: batch.count)
        plan.forward()
        if let optimizer {
          plan.backward()
          _ = optimizer.step(learningRate: 0)
        }
        all += (clock.now - (isFirst ? ready : start)) / .seconds(1)
        (isFirst, start) = (false, clock.now)
        if all > Self.secondsOfData { return waited / all }
      }
    }
    return waited / max(all, .leastNormalMagnitude)
  }

  private static let secondsOfData = 10.0

  /// The time of collecting Kronecker factors from random images, and of inverting those of inputs,
  /// which comes once after all images and is no part of the whole.
  private func collection(_ graph: Graph) throws -> TimingReport {
    let largest = Pruning.standardLargestFactor
    try MemoryNeed(graph, largestFactor: largest, granularity: .channels).check()
    let estimator = try CurvatureEstimator(
      graph, scalar: precision.scalar, batch: graph.batchSize(batchSize), largestFactor: largest,
      seed: Seed(0))
    var generator = Seed(1).generator()
    let images = (0..<estimator.inputShape.product).map { _ in generator.uniform() - 0.5 }
    estimator.add(images)
    let (clock, repeats) = (ContinuousClock(), 4)
    let before = estimator.factorSeconds
    let start = clock.now
    for _ in 0..<repeats { estimator.add(images) }
    let whole = (clock.now - start) / .seconds(1) / Double(repeats)
    let factors = (estimator.factorSeconds - before) / Double(repeats)
    let groups = estimator.takeFactors().values.flatMap(\.groups)
    let inverting = clock.measure {
      for group in groups {
        _ = KroneckerFactors.Group.dampedInverse(of: group.a, Pruning.standardDamping)
      }
    }
    let steps = [
      ("factors", factors), ("passes", whole - factors),
    ]
    let entries = steps.map { step, seconds in
      var entry = TimingReport.Entry(node: nil, step: step, implementation: "", layout: nil)
      (entry.count, entry.milliseconds) = (1, 1000 * seconds)
      return entry
    }
    var report = TimingReport(
      entries: entries, milliseconds: 1000 * whole,
      imagesPerSecond: Double(estimator.inputShape[0]) / whole, arenaBytes: estimator.arenaBytes)
    report.inversionMilliseconds = 1000 * (inverting / .seconds(1))
    return report
  }

  /// The median time of a pass as it is in earnest, in seconds: nothing measured in between, and
  /// with the update of the weights after a backward pass.
  private func wholePass(_ plan: Plan, _ optimizer: NesterovSGD?) -> Double {
    func pass() {
      plan.forward()
      if let optimizer {
        plan.backward()
        _ = optimizer.step(learningRate: 0)
      }
    }
    for _ in 0..<2 { pass() }
    // Small networks take so little that a few passes would measure what else the machine does.
    return measuredTimes(of: [pass], rounds: 7...1000, seconds: 0.5)[0].median
  }
}
