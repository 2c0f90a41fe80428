import Foundation
public import NapReport
import NapTensor

/// Where a job keeps what it has done: to go on when it was stopped, and for whoever wants to know how it went.
///
/// - `job.json`: what was asked for, with what, on what.
/// - `log.txt`: what was said, with times. `metrics.jsonl`: what was measured, a line each.
/// - `points.json`: the networks that were validated on the way; each is a file `point-N.onnx` beside it.
/// - `point-N.kept.json`: what stayed in such a network, where channels were cut.
/// - `functions-N.png`: what filters respond to, where that was asked.
/// - `journal`: what was done, until the job is done.
/// - `report.json`: what is printed at the end.
public final class RunDirectory {
  /// A network that is kept, and what it is worth.
  public struct Entry: Codable, Sendable, Equatable {
    /// The name of its file.
    public var file: String
    public var point: PruningReport.Point
    /// What the network was read for, by input, where its file leaves sizes open beyond the batch.
    var sizes: [String: [Int]]?
    /// The name of the file that says what stayed.
    var keptFile: String { FilePath(file).stem + Name.kept }
  }

  public let path: String
  public private(set) var job: Job?
  public private(set) var entries: [Entry] = []
  let journal: Journal
  private let records: RunRecords?
  private let lock: FolderLock?

  /// The directory of an earlier run, to read.
  ///
  /// - Throws: `UsageError` when it is none.
  public init(reading path: String) throws {
    job = Self.decode(Job.self, "\(path)/\(Name.job)")
    // A job that was killed at its very beginning has none yet.
    let found = Self.decode([Entry].self, "\(path)/\(Name.points)")
    guard let entries = found ?? job.map({ _ in [] }) else {
      throw UsageError(
        "'\(path)' is not the directory of a run", recovery: "nap prune makes one beside its output"
      )
    }
    self.path = path
    self.entries = entries
    (journal, records, lock) = (Journal(), nil, nil)
  }

  /// The directory of a new job.
  ///
  /// - Parameters:
  ///   - path: where it is made.
  ///   - job: what will be done in it.
  ///   - replaces: whether it may stand in the place of a job that is done.
  /// - Throws: `UsageError` when something else is there.
  public init(creating path: String, for job: Job = Job(), replacing replaces: Bool = false) throws
  {
    let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
    if contents == nil {
      do {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      } catch {
        throw UsageError(
          "cannot create the run directory '\(path)'",
          recovery: "give another one with --run, or none with --no-run")
      }
    }
    lock = try FolderLock(path)
    if let contents, !contents.isEmpty {
      try Self.makeRoom(in: path, contents, replacing: replaces)
    }
    self.path = path
    self.job = job
    // First of all, as it tells whose directory this is.
    try Self.encode(job, "\(path)/\(Name.job)")
    journal = try Journal(in: "\(path)/\(Name.journal)")
    records = try RunRecords(in: path, tensorBoard: job.writesEvents ?? false)
    try Self.encode(entries, "\(path)/\(Name.points)")
  }

  /// The directory of a job that was stopped, to go on.
  ///
  /// - Throws: `UsageError` when it cannot go on.
  public init(resuming path: String) throws {
    guard let job = Self.decode(Job.self, "\(path)/\(Name.job)") else {
      throw UsageError("'\(path)' is not the directory of a job")
    }
    lock = try FolderLock(path)
    guard !job.isDone else {
      // Killed in its very last moment.
      Self.tidy(path)
      throw UsageError(
        "the job of '\(path)' is done", recovery: "nap pick \(path) lists its networks")
    }
    try job.checkInputs()
    self.path = path
    self.job = job
    journal = try Journal(in: "\(path)/\(Name.journal)")
    records = try RunRecords(in: path, tensorBoard: job.writesEvents ?? false)
    log("going on")
  }

  enum Name {
    static let job = "job.json"
    static let points = "points.json"
    static let journal = "journal"
    static let report = "report.json"
    static let page = "report.html"
    static let unfinished = "unfinished.onnx"
    static let kept = ".kept.json"
    /// A picture.
    static let examples = "examples"
    static func isPicture(_ name: String) -> Bool {
      name == "\(examples).png" || name.hasPrefix("functions-") && name.hasSuffix(".png")
    }
    static func isOurs(_ name: String) -> Bool {
      [
        job, points, journal, report, page, unfinished, RunRecords.log, RunRecords.metricsName,
        TensorBoard.fileName,
      ]
      .contains(name)
        || name.hasPrefix("point-") && (name.hasSuffix(".onnx") || name.hasSuffix(kept))
        || isPicture(name)
    }
  }

  /// What the page about a job is called in its directory.
  package static var pageName: String { Name.page }

  /// Whether a job writes a file of that name in its directory.
  package static func writes(_ name: String) -> Bool { Name.isOurs(name) }

  /// Removes a job that is done, or has hardly begun.
  private static func makeRoom(in path: String, _ contents: [String], replacing replaces: Bool)
    throws
  {
    guard let old = decode(Job.self, "\(path)/\(Name.job)"), contents.allSatisfy(Name.isOurs) else {
      throw UsageError(
        "the run directory '\(path)' is not empty", recovery: "give another one with --run")
    }
    if old.isDone, !replaces {
      throw UsageError(
        "'\(path)' holds a job that is done", recovery: "give another directory with --run")
    }
    if !old.isDone, worked(old, path) > unworthy {
      throw UsageError(
        "'\(path)' holds a job that was stopped",
        recovery:
          "nap resume \(path) goes on with it; remove the directory to begin again, or give another one with --run"
      )
    }
    empty(path)
  }

  /// Removes what a job has written.
  private static func empty(_ path: String) {
    let contents = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in contents where Name.isOurs(name) {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
  }

  /// Seconds from when a job began to what it kept last.
  private static func worked(_ job: Job, _ path: String) -> Double {
    let folder = "\(path)/\(Name.journal)"
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let last = files.compactMap {
      try? FileManager.default.attributesOfItem(atPath: "\(folder)/\($0)")[.modificationDate]
        as? Date
    }.max()
    return last?.timeIntervalSince(job.started) ?? 0
  }

  /// Seconds of work that are not worth going on with.
  private static let unworthy = 60.0

  // MARK: On the way
  /// Says what happens, and writes down what is worth it.
  func recording(_ progress: @escaping ProgressHandler) -> ProgressHandler {
    journal.warn = { [weak self] text in
      self?.log(text)
      try? progress(WorkProgress(stage: "", message: text))
    }
    return { [records, journal] event in
      records?.add(event, journal)
      try progress(event)
    }
  }

  public func log(_ text: String) { records?.log(text) }

  /// For the network as it was when the job was stopped.
  public var unfinished: String { "\(path)/\(Name.unfinished)" }

  /// Whether something is kept that a job can go on from; a directory without goes.
  public func canGoOn() -> Bool {
    guard job?.isDone == false else { return false }
    if journal.hasKept { return true }
    Self.empty(path)
    rmdir(path)
    return false
  }

  /// Keeps a network; the same one again where a job that was stopped comes by once more. Where it cannot be
  /// written, work goes on without it.
  func keep(_ network: Network, _ point: PruningReport.Point) {
    let entry = Entry(file: Self.file(entries.count + 1), point: point, sizes: network.sizes)
    entries.append(entry)
    let listed = Self.decode([Entry].self, "\(path)/\(Name.points)") ?? []
    guard listed.count < entries.count || listed[entries.count - 1] != entry else { return }
    do {
      try network.write(to: "\(path)/\(entry.file)")
      let kept = network.kept()
      if !kept.parameters.isEmpty { try kept.write(to: "\(path)/\(entry.keptFile)") }
      try Self.encode(entries, "\(path)/\(Name.points)")
    } catch {
      journal.warn("a network on the way could not be kept: \(error)")
    }
  }

  /// Keeps a PNG file; returns its name, `nil` where it cannot be written.
  func keep(picture: Data, _ title: String) -> String? {
    let name = "\(title).png"
    do {
      try AtomicFile.write(picture, to: "\(path)/\(name)")
      return name
    } catch {
      journal.warn("a picture could not be kept: \(error)")
      return nil
    }
  }

  /// The job is done, its result written: what was kept to go on is removed. Where the report cannot be written,
  /// that is said, and what was kept stays.
  public func finish(_ report: some PagedReport) {
    records?.add("stage", "done", [:], journal)
    do {
      try Self.encode(report, "\(path)/\(Name.report)")
      try AtomicFile.write(Data(page(report).utf8), to: "\(path)/\(Name.page)")
      job?.isDone = true
      try Self.encode(job, "\(path)/\(Name.job)")
    } catch {
      job?.isDone = false
      return journal.warn("the run directory could not be completed: \(error)")
    }
    Self.tidy(path)
    log("done")
  }

  private static func tidy(_ path: String) {
    for name in [Name.journal, Name.unfinished] {
      try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }
  }

  static func file(_ number: Int) -> String { "point-\(number).onnx" }

  /// What the original is worth, measured as the networks on the way are; in percent.
  func note(accuracyBefore: Double) {
    guard job?.accuracyBefore != accuracyBefore else { return }
    job?.accuracyBefore = accuracyBefore
    try? Self.encode(job, "\(path)/\(Name.job)")
  }

  // MARK: Files
  static func encode(_ value: some Encodable, _ file: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try AtomicFile.write(try encoder.encode(value), to: file)
  }

  static func decode<Value: Decodable>(_ type: Value.Type, _ file: String) -> Value? {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return FileManager.default.contents(atPath: file).flatMap {
      try? decoder.decode(type, from: $0)
    }
  }
}
