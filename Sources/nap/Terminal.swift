import Foundation
import Logging
import NapKit
import NapReport
import NapTensor

/// Standard error: messages, and progress as a bar on a terminal or as plain lines elsewhere.
final class Terminal {
  private let isTerminal = isatty(STDERR_FILENO) != 0
  private let clock = ContinuousClock()
  private var stage = ""
  private var stageStart: ContinuousClock.Instant
  private var lastShown: ContinuousClock.Instant
  /// Where the stage was when it was first seen.
  private var firstStep = 0
  private var firstImages = 0
  private var barWidth = 0

  init() {
    stageStart = clock.now
    lastShown = clock.now
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
    if let message = progress.message {
      clear()
      Self.write(message)
    }
    guard progress.steps > 0 else { return }
    if progress.stage != stage || progress.step <= 1 {
      if progress.stage != stage { clear() }
      stage = progress.stage
      stageStart = clock.now
      lastShown = clock.now
      (firstStep, firstImages) = (progress.step, progress.images)
    }
    let isLast = progress.step >= progress.steps
    let pause = isTerminal ? 0.1 : 10
    let isDue = (clock.now - lastShown) / .seconds(1) >= pause
    let isWorthALine = isTerminal || (clock.now - stageStart) / .seconds(1) >= 2
    guard isDue || (isLast && isWorthALine) else { return }
    lastShown = clock.now
    isTerminal
      ? draw(progress, isLast: isLast) : Self.write(facts(progress).joined(separator: ", "))
  }

  private func facts(_ progress: WorkProgress) -> [String] {
    let seconds = (clock.now - stageStart) / .seconds(1)
    let done = Double(progress.step) / Double(progress.steps)
    let (images, steps) = (progress.images - firstImages, progress.step - firstStep)
    var facts = [String(format: "%@ %3.0f %%", progress.stage, 100 * done)]
    if let loss = progress.loss { facts.append(String(format: "loss %.4f", loss)) }
    if let accuracy = progress.accuracy {
      facts.append(String(format: "accuracy %.2f %%", accuracy))
    }
    if let agreement = progress.agreement {
      facts.append(String(format: "agreement %.2f %%", agreement))
    }
    if seconds > 0.5, images > 0 {
      facts.append(String(format: "%.0f images/s", Double(images) / seconds))
    }
    if seconds > 0.5, steps > 0, done < 1 {
      let left =
        progress.secondsLeft ?? seconds * Double(progress.steps - progress.step) / Double(steps)
      facts.append(Self.time(left) + " left")
    }
    return facts
  }

  private func draw(_ progress: WorkProgress, isLast: Bool) {
    let width = 24
    let full = min(width, width * progress.step / progress.steps)
    let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
    let line = "\(bar) \(facts(progress).joined(separator: ", "))".printable
    let padding = String(repeating: " ", count: max(0, barWidth - line.count))
    try? FileHandle.standardError.write(
      contentsOf: Data("\r\(line)\(padding)\(isLast ? "\n" : "")".utf8))
    barWidth = isLast ? 0 : line.count
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
      report, Circumstances(version: Runtime.versionWithCommit, threads: Runtime.threads))
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

  /// Takes the bar away.
  func clear() {
    guard isTerminal, barWidth > 0 else { return }
    try? FileHandle.standardError.write(
      contentsOf: Data("\r\(String(repeating: " ", count: barWidth))\r".utf8))
    barWidth = 0
  }

  static func time(_ seconds: Double) -> String {
    let total = Int(seconds.rounded())
    return total < 60 ? "\(total) s" : String(format: "%d:%02d min", total / 60, total % 60)
  }
}
