public import NapReport

/// The same job under several criteria and for several sizes.
public struct Comparison: Sendable {
  /// The job; its goal and criterion are replaced.
  public var pruning: Pruning
  public var criteria: [String]
  /// Shares of the multiply-accumulates to keep.
  public var macs: [Double]

  public init(_ pruning: Pruning, criteria: [String], macs: [Double]) {
    self.pruning = pruning
    self.criteria = criteria
    self.macs = macs
  }

  public func run(_ network: Network, progress: @escaping ProgressHandler = { _ in }) throws
    -> ComparisonReport
  {
    var report = ComparisonReport(accuracyBefore: 0, curves: [])
    for criterion in criteria {
      var curve = ComparisonReport.Curve(criterion: criterion, points: [])
      for share in macs {
        var pruning = pruning
        pruning.criterion = criterion
        pruning.goal = .macs(share)
        let result = try pruning.run(network, progress: progress).report
        report.accuracyBefore = result.accuracyBefore
        report.measure = result.measure
        curve.points.append(
          ComparisonReport.Point(
            macs: Double(result.macsAfter) / Double(max(1, result.macsBefore)),
            parameters: Double(result.parametersAfter) / Double(max(1, result.parametersBefore)),
            accuracy: result.accuracyAfter, seconds: result.seconds))
        try progress(
          WorkProgress(
            stage: "comparing",
            message:
              "\(criterion), \(percent(share)) of the MACs: \(percent(result.accuracyAfter / 100))")
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
