import Foundation
import Logging
import NapKit
import NapReport
import NapTensor
import Synchronization

/// Standard error: messages, and progress as a line that is drawn anew on a terminal, or as plain lines
/// elsewhere.
final class Terminal: Sendable {
  private struct State {
    var line: ProgressLine?
    var stageStart = ContinuousClock.now
    var lastShown = ContinuousClock.now
    /// Of what is drawn.
    var width = 0
    var isTicking = false
  }

  private let state = Mutex(State())
  /// Whether lines can be drawn anew.
  private let isTerminal: Bool

  init() {
    let environment = ProcessInfo.processInfo.environment
    isTerminal =
      isatty(STDERR_FILENO) != 0 && environment["TERM"] != "dumb" && environment["NO_COLOR"] == nil
  }

  /// Writes a line, or several.
  static func write(_ text: String) { log.info("\(printable(text))") }

  private static func printable(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }
      .joined(separator: "\n")
  }

  /// Shows how far the work has come; throws when the user wants it to stop.
  func show(_ progress: WorkProgress) throws {
    try Interruption.check()
    state.withLock { state in
      if let message = progress.message {
        clear(&state)
        Self.write(message)
      }
      if progress.steps > 0 { show(progress, &state) }
    }
  }

  private func show(_ progress: WorkProgress, _ state: inout State) {
    let clock = ContinuousClock()
    if progress.stage != state.line?.progress.stage || progress.step <= 1 {
      if progress.stage != state.line?.progress.stage { clear(&state) }
      state.stageStart = clock.now
      state.lastShown = clock.now
      state.line = ProgressLine(
        progress: progress, seconds: 0, firstStep: progress.step, firstImages: progress.images)
    }
    state.line?.progress = progress
    state.line?.seconds = (clock.now - state.stageStart) / .seconds(1)
    guard let line = state.line else { return }
    let isLast = progress.step >= progress.steps
    let pause = isTerminal ? 0.1 : 10
    let isDue = (clock.now - state.lastShown) / .seconds(1) >= pause
    let isWorthALine = isTerminal || line.seconds >= 2
    guard isDue || (isLast && isWorthALine) else { return }
    state.lastShown = clock.now
    if isTerminal {
      draw(line, &state)
      tick(&state)
    } else {
      Self.write(line.facts.joined(separator: ", "))
    }
  }

  /// Draws over what was drawn.
  private func draw(_ line: ProgressLine, _ state: inout State) {
    var size = winsize()
    let columns = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 ? Int(size.ws_col) : 0
    let text = line.drawn(width: columns > 0 ? columns : 80)
    let padding = String(repeating: " ", count: max(0, state.width - text.count))
    try? FileHandle.standardError.write(contentsOf: Data("\r\(text)\(padding)".utf8))
    state.width = text.count
  }

  /// Once a second, says that work goes on where it has nothing to tell for long.
  private func tick(_ state: inout State) {
    guard !state.isTicking else { return }
    state.isTicking = true
    Thread.detachNewThread { [weak self] in
      while let self {
        Thread.sleep(forTimeInterval: 1)
        self.state.withLock { state in
          let silence = (ContinuousClock.now - state.lastShown) / .seconds(1)
          guard silence > 2, state.width > 0, var line = state.line else { return }
          line.progress.stage += " (\(duration(silence)))"
          self.draw(line, &state)
        }
      }
    }
  }

  /// Writes the last good network when work has to stop, into the run directory or beside where the result would
  /// have been, and says so.
  static func rescuing(
    to destination: Destination, _ run: RunDirectory?, _ body: () throws -> Void
  ) throws {
    do {
      try body()
    } catch let stopped as WorkStopped {
      let file = FilePath(destination.path)
      let name = run?.unfinished ?? file.sibling("\(file.stem)-unfinished.onnx")
      // Never over what is there: it may be what this run has begun with.
      let rescue = try Destination(
        run == nil ? Destination.vacant(name) ?? name : name)
      let (place, _) = try rescue.deliver { try stopped.lastGood.write(to: $0) }
      write("nap: stopped early; the network as it was then is in '\(place)'")
      throw stopped
    }
  }

  static func print(_ report: some Report, asJSON json: Bool) throws {
    let printed = PrintedReport(
      report,
      Circumstances(
        version: Runtime.versionWithCommit, threads: Runtime.threads,
        date: Date().formatted(.iso8601), command: Job(arguments: Nap.arguments).command,
        settings: json ? ConfigurationFile.settings(of: Nap.arguments) : [:]))
    try print(json ? try printed.renderedAsJSON() : printed.renderedAsText())
  }

  /// Writes a result to standard output.
  ///
  /// - Throws: when it cannot be written there.
  static func print(_ text: String) throws {
    do {
      try FileHandle.standardOutput.write(contentsOf: Data("\(printable(text))\n".utf8))
    } catch {
      throw OutputError("cannot write to standard output")
    }
  }

  /// Takes away what is drawn.
  func clear() { state.withLock { clear(&$0) } }

  private func clear(_ state: inout State) {
    guard isTerminal, state.width > 0 else { return }
    try? FileHandle.standardError.write(
      contentsOf: Data("\r\(String(repeating: " ", count: state.width))\r".utf8))
    state.width = 0
  }
}
