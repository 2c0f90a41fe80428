import Foundation
public import NapReport
import NapTensor

/// What a job has come to.
extension RunDirectory {
  // MARK: The report
  /// A page about the job, from what is kept of it.
  ///
  /// - Throws: `UsageError` when it is not done.
  public func page() throws -> String {
    let file = "\(path)/\(Name.report)"
    func page<Kind: PagedReport>(_ kind: Kind.Type) -> String? {
      Self.decode(kind, file).map { self.page($0) }
    }
    let found =
      switch job?.arguments.first {
      case "train": page(TrainingReport.self)
      case "compare": page(ComparisonReport.self)
      case "sensitivity": page(SensitivityReport.self)
      case "proxies": page(ProxyReport.self)
      default: page(PruningReport.self)
      }
    guard let found else {
      throw UsageError(
        "there is no report in '\(path)'",
        recovery: "nap resume \(path) goes on with a job that was stopped")
    }
    return found
  }

  public func page(_ report: some PagedReport) -> String {
    Self.page(
      report, job, metrics: RunRecords.metrics(in: path), files: entries.map(\.file),
      pictures: pictures)
  }

  /// PNG files in base 64, by name.
  private var pictures: [String: String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter(Name.isPicture).reduce(into: [:]) { found, name in
      found[name] = FileManager.default.contents(atPath: "\(path)/\(name)")?.base64EncodedString()
    }
  }

  /// A page about a job, from what is known of it.
  public static func page(
    _ report: some PagedReport, _ job: Job?, metrics: [Metric] = [], files: [String] = [],
    pictures: [String: String] = [:]
  ) -> String {
    var facts = JobFacts(
      command: job?.command ?? "", circumstances: job?.circumstances ?? [], metrics: metrics,
      files: files)
    facts.accuracyBefore = job?.accuracyBefore
    facts.pictures = pictures
    return report.page(facts).rendered()
  }

  /// Bytes of all files in it.
  public var keptBytes: Int {
    let files = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    return files.reduce(0) { sum, name in
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")
      guard attributes?[.type] as? FileAttributeType == .typeRegular else { return sum }
      return sum + (attributes?[.size] as? Int ?? 0)
    }
  }

  // MARK: Networks
  /// The most accurate network that is no larger than wanted, in shares of the original.
  public func best(macs: Double? = nil, parameters: Double? = nil) -> Entry? {
    entries.filter {
      $0.point.macs <= macs ?? .infinity && $0.point.parameters <= parameters ?? .infinity
    }.max {
      ($0.point.accuracy, -$0.point.macs, -$0.point.parameters)
        < ($1.point.accuracy, -$1.point.macs, -$1.point.parameters)
    }
  }

  /// The network whose gates take other thresholds, where there is one.
  public var dynamicEntry: Entry? { entries.first { (try? network($0))?.isDynamic ?? false } }

  /// - Throws: `UsageError` when there is none of that number.
  public func entry(_ number: Int) throws -> Entry {
    guard let entry = entries.first(where: { $0.file == Self.file(number) }) else {
      throw UsageError(
        "there is no network of number \(number) in '\(path)'",
        recovery: "nap pick \(path) lists what there is")
    }
    return entry
  }

  /// Networks, the smallest first; all where none are given.
  public func listed(_ chosen: [Entry]? = nil) -> PointsReport {
    let sorted = (chosen ?? entries).sorted {
      ($0.point.macs, $0.point.parameters, $0.file) < ($1.point.macs, $1.point.parameters, $1.file)
    }
    var report = PointsReport(points: sorted.map(\.point))
    report.files = sorted.map { entry in
      let size = try? FileManager.default.attributesOfItem(atPath: "\(path)/\(entry.file)")[.size]
      return PointsReport.File(name: entry.file, bytes: size as? Int ?? 0)
    }
    report.accuracyBefore = job?.accuracyBefore
    return report
  }

  /// - Throws: when there is no such network, or its name leads out of the directory.
  public func network(_ entry: Entry) throws -> Network {
    guard let file = FilePath.named(entry.file, in: path) else {
      throw UsageError(
        "'\(path)/\(Name.points)' lists '\(entry.file)', which is outside of '\(path)'")
    }
    return try Network(contentsOf: file, sizes: entry.sizes ?? [:])
  }

  /// What stayed in a network of the directory; where no channels were cut, which weights are not zero.
  ///
  /// - Throws: as `network(_:)`.
  public func kept(_ entry: Entry) throws -> KeptIndices {
    let network = try network(entry)
    let file = FilePath.named(entry.keptFile, in: path)
    return file.flatMap { Self.decode(KeptIndices.self, $0) } ?? network.kept(masks: true)
  }
}
