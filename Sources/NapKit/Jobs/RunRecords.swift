import Foundation
import NapTensor

/// What a job says and measures on its way, in its run directory; what cannot be written there is lost,
/// and work goes on.
final class RunRecords {
  static let log = "log.txt"
  static let metrics = "metrics.jsonl"

  private let logFile: FileHandle?
  private let path: String
  private var metricsFile: FileHandle?
  private var stage = ""
  private var lastLine = ContinuousClock.now

  init(in path: String) throws {
    self.path = path
    func appending(_ name: String) -> FileHandle? {
      let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
      return descriptor < 0 ? nil : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
    logFile = appending(Self.log)
    metricsFile = appending(Self.metrics)
  }

  func log(_ text: String) {
    let time = Date().formatted(.iso8601)
    for line in text.split(separator: "\n") {
      try? logFile?.write(contentsOf: Data("\(time) \(String(line).printable)\n".utf8))
    }
  }

  func add(_ event: WorkProgress, _ journal: Journal) {
    if let message = event.message { log(message) }
    if let measured = event.measured { add(measured, journal) }
    guard event.steps > 0 else { return }
    // A line where a stage begins, and then from time to time.
    let isNew = event.stage != stage
    guard isNew || ContinuousClock.now - lastLine > .seconds(60) else { return }
    (stage, lastLine) = (event.stage, .now)
    log("\(event.stage) \(100 * event.step / event.steps) %")
  }

  private func add(_ measured: WorkProgress.Measured, _ journal: Journal) {
    forgetLost(journal)
    let line = Line(
      time: Date(), elapsed: journal.elapsed, kind: measured.kind, values: measured.values)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.dateEncodingStrategy = .iso8601
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard let data = try? encoder.encode(line) else { return }
    try? metricsFile?.write(contentsOf: data + Data("\n".utf8))
  }

  private struct Line: Codable {
    var time: Date
    /// Seconds of work.
    var elapsed: Double
    var kind: String
    var values: [String: Double]
  }

  private var hasForgotten = false

  /// What was measured after the job was saved last is going to be measured again.
  private func forgetLost(_ journal: Journal) {
    guard !hasForgotten, journal.isResumed else { return }
    hasForgotten = true
    let file = "\(path)/\(Self.metrics)"
    guard let data = FileManager.default.contents(atPath: file) else { return }
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let lines = data.split(separator: UInt8(ascii: "\n")).filter { line in
      (try? decoder.decode(Line.self, from: Data(line))).map { $0.elapsed <= journal.restored }
        ?? false
    }
    let kept = lines.reduce(into: Data()) { $0 += $1 + Data("\n".utf8) }
    guard (try? AtomicFile.write(kept, to: file)) != nil else { return }
    metricsFile = FileHandle(forWritingAtPath: file)
    _ = try? metricsFile?.seekToEnd()
  }
}
