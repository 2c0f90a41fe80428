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

  /// A comparison that had to stop, with what it has so far.
  public struct Stopped: Error {
    public let report: ComparisonReport
    public let reason: any Error
  }

  /// - Parameters:
  ///   - network: the trained network.
  ///   - directory: where what is done is kept, to go on when it was stopped.
  ///   - progress: sees every step; what it throws stops the work.
  /// - Throws: `Stopped` when some jobs are done by then.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> ComparisonReport {
    let journal = directory?.journal ?? Journal()
    let recorded = directory?.recording(progress) ?? progress
    let jobs = JobCount(
      allocators.count * criteria.count * macs.count, each: pruning.seconds, of: journal)
    let progress = told(of: jobs, recorded)
    var before: Pruning.Before?
    var report = ComparisonReport(accuracyBefore: 0, curves: [])
    /// Ends the work, with what there is.
    func stopped(_ curve: ComparisonReport.Curve, by error: any Error) -> any Error {
      var report = report
      if !curve.points.isEmpty { report.curves.append(curve) }
      let done = report.curves.reduce(0) { $0 + $1.points.count }
      guard done > 0 else { return error }
      report.jobsLeft = jobs.count - done
      return Stopped(report: report, reason: (error as? WorkStopped)?.reason ?? error)
    }
    for (allocator, criterion) in allocators.flatMap({ a in criteria.map { (a, $0) } }) {
      var curve = ComparisonReport.Curve(
        criterion: criterion, allocator: allocator == Pruning.ranking ? nil : allocator, points: [])
      for share in macs {
        var pruning = pruning
        pruning.criterion = criterion
        pruning.allocator = allocator
        pruning.goal = .macs(share)
        let start = journal.elapsed
        do {
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
          jobs.endJob()
          try progress(
            WorkProgress(
              stage: "comparing",
              message:
                "\(curve.name), \(percent(share)) of the MACs: \(percent(result.accuracyAfter / 100))"
            )
          )
        } catch {
          throw stopped(curve, by: error)
        }
      }
      report.curves.append(curve)
    }
    return report
  }

  /// Progress that says which job it is, and how long all of them take as soon as that can be told.
  private func told(of jobs: JobCount, _ progress: @escaping ProgressHandler) -> ProgressHandler {
    var isAnnounced = false
    return { event in
      var event = event
      event.part = [jobs.name, event.part].compactMap { $0 }.joined(separator: ", ")
      event.jobSecondsLeft = jobs.left(own: event.jobSecondsLeft)
      if !isAnnounced, jobs.count > 1, let left = event.jobSecondsLeft {
        isAnnounced = true
        try progress(
          WorkProgress(
            stage: "planning",
            message:
              "\(jobs.count) jobs, about \(duration(left)); fewer --criteria or --macs, or less \(pruning.seconds == nil ? "--epochs" : "--time"), make it shorter"
          ))
      }
      try progress(event)
    }
  }

  private func percent(_ share: Double) -> String {
    "\((10000 * share).rounded() / 100) %"
  }
}
