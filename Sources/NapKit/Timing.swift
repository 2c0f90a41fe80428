import NapEngine
public import NapReport

/// Where the time of one pass goes.
public struct Timing: Sendable {
  public enum Mode: String, Sendable, CaseIterable {
    case inference
    case training
  }

  public var mode: Mode
  public var precision: Precision
  public var batchSize: Int

  public init(mode: Mode, precision: Precision, batchSize: Int) {
    self.mode = mode
    self.precision = precision
    self.batchSize = batchSize
  }

  /// Times by kind of step, the largest first, and the whole.
  public func run(_ network: Network) throws -> TimingReport {
    let graph = network.graph
    let plan = try Plan(
      graph, parameters: Parameters(graph), mode: mode == .inference ? .inference : .training,
      scalar: precision.scalar, batch: graph.batchSize(batchSize))
    _ = plan.stepTimes(runs: 2)
    let steps = plan.stepTimes(runs: 5)
    var entries: [String: TimingReport.Entry] = [:]
    for step in steps {
      let key = "\(step.label) \(step.implementation)"
      var entry =
        entries[key]
        ?? .init(step: step.label, implementation: step.implementation, count: 0, milliseconds: 0)
      entry.count += 1
      entry.milliseconds += 1000 * step.seconds
      entries[key] = entry
    }
    let total = steps.reduce(0) { $0 + $1.seconds }
    return TimingReport(
      entries: entries.values.sorted { ($1.milliseconds, $0.step) < ($0.milliseconds, $1.step) },
      milliseconds: 1000 * total, imagesPerSecond: Double(plan.batch) / total,
      arenaBytes: plan.arenaBytes)
  }
}
