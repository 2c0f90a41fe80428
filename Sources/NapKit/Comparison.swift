public import NapReport

/// The same job under several criteria and allocators, and for several sizes.
public struct Comparison: Sendable {
  /// The job; its goal, criterion and allocator are replaced.
  public var pruning: Pruning
  public var criteria: [String]
  public var allocators: [String]
  /// Shares of the multiply-accumulates to keep.
  public var macs: [Double]

  public init(
    _ pruning: Pruning, criteria: [String], allocators: [String] = [Pruning.ranking],
    macs: [Double]
  ) {
    self.pruning = pruning
    self.criteria = criteria
    self.allocators = allocators
    self.macs = macs
  }

  /// - Parameter directory: where what is done is kept, to go on when it was stopped.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> ComparisonReport {
    let journal = directory?.journal ?? Journal()
    let progress = directory?.recording(progress) ?? progress
    var before: Pruning.Before?
    var report = ComparisonReport(accuracyBefore: 0, curves: [])
    for (allocator, criterion) in allocators.flatMap({ a in criteria.map { (a, $0) } }) {
      var curve = ComparisonReport.Curve(
        criterion: criterion, allocator: allocator == Pruning.ranking ? nil : allocator, points: [])
      for share in macs {
        var pruning = pruning
        pruning.criterion = criterion
        pruning.allocator = allocator
        pruning.goal = .macs(share)
        let start = journal.elapsed
        let result = try journal.step("\(curve.name) at \(share)") {
          try pruning.run(
            network, journal: journal, directory: nil, before: before, progress: progress
          ).report
        }
        before = before ?? Pruning.Before(accuracy: result.accuracyBefore, seconds: 0)
        report.accuracyBefore = result.accuracyBefore
        report.measure = result.measure
        curve.points.append(
          ComparisonReport.Point(
            macs: Double(result.macsAfter) / Double(max(1, result.macsBefore)),
            parameters: Double(result.parametersAfter) / Double(max(1, result.parametersBefore)),
            accuracy: result.accuracyAfter, seconds: journal.elapsed - start))
        try progress(
          WorkProgress(
            stage: "comparing",
            message:
              "\(curve.name), \(percent(share)) of the MACs: \(percent(result.accuracyAfter / 100))"
          )
        )
      }
      report.curves.append(curve)
    }
    return report
  }

  private func percent(_ share: Double) -> String {
    "\((10000 * share).rounded() / 100) %"
  }
}
