import NapCurvature
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
    let macs = graph.macsByNode(shapes: try graph.shapes(inputs: plan.inputShapes))
    var entries: [String: TimingReport.Entry] = [:]
    for step in plan.stepTimes(runs: 5) {
      let node = step.node.map { graph.nodes[$0] }
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
    return TimingReport(
      entries: sorted, milliseconds: 1000 * whole, imagesPerSecond: Double(plan.batch) / whole,
      arenaBytes: plan.arenaBytes)
  }

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
