import Foundation
import NapReport
import NapTensor

/// What a job says and measures on its way, in its run directory; what cannot be written there is lost,
/// and work goes on.
final class RunRecords {
  static let log = "log.txt"
  static let metricsName = "metrics.jsonl"

  private let logFile: FileHandle?
  private let path: String
  private var metricsFile: FileHandle?
  private var stage = ""
  private var lastLine = ContinuousClock.now

  /// `nil` where none are wanted.
  private var tensorBoard: (events: TensorBoard, file: FileHandle)?

  /// - Throws: where something stands in the place of a file that is none.
  init(in path: String, tensorBoard: Bool) throws {
    self.path = path
    logFile = try Self.appending("\(path)/\(Self.log)")
    metricsFile = try Self.appending("\(path)/\(Self.metricsName)")
    if tensorBoard { beginEvents() }
  }

  private static func appending(_ file: String) throws -> FileHandle? {
    _ = try Destination.target(of: file)
    // A pipe that has come since then would have nap wait for whoever reads it.
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK
    let descriptor = open(file, flags, 0o666)
    return descriptor < 0 ? nil : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  /// Events of all that has been measured.
  private func beginEvents() {
    let file = "\(path)/\(TensorBoard.fileName)"
    var events = TensorBoard()
    let content = Self.metrics(in: path).reduce(
      into: TensorBoard.header(seconds: Date().timeIntervalSince1970)
    ) { $0 += events.records(of: $1) }
    guard (try? AtomicFile.write(content, to: file)) != nil,
      let handle = FileHandle(forWritingAtPath: file)
    else { return }
    _ = try? handle.seekToEnd()
    tensorBoard = (events, handle)
  }

  func log(_ text: String) {
    let time = Date().formatted(.iso8601)
    for line in text.split(separator: "\n") {
      try? logFile?.write(contentsOf: Data("\(time) \(String(line).printable)\n".utf8))
    }
  }

  func add(_ event: WorkProgress, _ journal: Journal) {
    if let message = event.message { log(message) }
    if let measured = event.measured {
      add(measured.kind, measured.name, measured.values, journal)
    }
    guard event.steps > 0 else { return }
    // A line where a stage begins, and then from time to time.
    let isNew = event.stage != stage
    if isNew { add("stage", event.stage, [:], journal) }
    guard isNew || ContinuousClock.now - lastLine > .seconds(60) else { return }
    (stage, lastLine) = (event.stage, .now)
    log("\(event.stage) \(100 * event.step / event.steps) %")
  }

  func add(_ kind: String, _ name: String, _ values: [String: Double], _ journal: Journal) {
    forgetLost(journal)
    let line = Metric(
      time: Date().formatted(.iso8601), elapsed: journal.elapsed, kind: kind, name: name,
      values: values)
    try? metricsFile?.write(contentsOf: Self.encoded(line))
    if let records = tensorBoard?.events.records(of: line) {
      try? tensorBoard?.file.write(contentsOf: records)
    }
  }

  private static func encoded(_ metric: Metric) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return ((try? encoder.encode(metric)) ?? Data()) + Data("\n".utf8)
  }

  /// What has been measured in a run; lines that are none are left out.
  static func metrics(in path: String) -> [Metric] {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let data = FileManager.default.contents(atPath: "\(path)/\(metricsName)") ?? Data()
    return data.split(separator: UInt8(ascii: "\n")).compactMap {
      try? decoder.decode(Metric.self, from: Data($0))
    }
  }

  private var hasForgotten = false

  /// What was measured after the job was saved last is going to be measured again.
  private func forgetLost(_ journal: Journal) {
    guard !hasForgotten, journal.isResumed else { return }
    hasForgotten = true
    let file = "\(path)/\(Self.metricsName)"
    let kept = Self.metrics(in: path).filter { $0.elapsed <= journal.restored }
      .reduce(into: Data()) { $0 += Self.encoded($1) }
    guard (try? AtomicFile.write(kept, to: file)) != nil else { return }
    metricsFile = FileHandle(forWritingAtPath: file)
    _ = try? metricsFile?.seekToEnd()
    if tensorBoard != nil { beginEvents() }
  }
}
