import Foundation
import NapTensor

/// A measure of a network that a program of the user's knows: a detector's mean average precision, say.
///
/// The command prints a number, the last word of what it prints; more is better.
public struct UserMetric: Sendable, Hashable {
  /// For the shell; `{model}` in it stands for the network's file (ONNX).
  public let command: String
  private static let place = "{model}"

  /// - Throws: when the command does not say where the network's file goes.
  public init(command: String) throws {
    guard command.contains(Self.place) else {
      throw UsageError(
        "the metric '\(command)' has no {model}",
        recovery: "write {model} where the network's file goes: 'python map.py {model}'")
    }
    self.command = command
  }

  /// Runs the command on a network.
  ///
  /// - Throws: when the command fails, or prints no number.
  public func value(of network: Network) throws -> Double {
    let folder = FileManager.default.temporaryDirectory.appending(path: "nap-metric-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let model = folder.appending(path: "model.onnx").path
    try network.write(to: model)
    let quoted = "'" + model.replacingOccurrences(of: "'", with: "'\\''") + "'"
    // What it prints goes to files: a pipe that nobody empties would stop it.
    let places = ["out", "err"].map { folder.appending(path: $0) }
    for place in places { try Data().write(to: place) }
    let files = try places.map { try FileHandle(forWritingTo: $0) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command.replacingOccurrences(of: Self.place, with: quoted)]
    (process.standardOutput, process.standardError) = (files[0], files[1])
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let texts = places.map { (try? String(contentsOf: $0, encoding: .utf8)) ?? "" }
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let how = process.terminationReason == .exit ? "exit status" : "signal"
      throw MetricError(
        problem:
          "the metric '\(command)' failed with \(how) \(process.terminationStatus)\(Self.lastLine(texts[1]).map { ": \($0)" } ?? "")"
      )
    }
    guard let word = texts[0].split(whereSeparator: \.isWhitespace).last,
      let value = Double(word), value.isFinite
    else {
      throw MetricError(
        problem:
          "the metric '\(command)' printed no number\(Self.lastLine(texts[0]).map { ", but: \($0)" } ?? "")"
      )
    }
    return value
  }

  private static func lastLine(_ text: String) -> String? {
    text.split(whereSeparator: \.isNewline).last.map { String($0.prefix(200)) }
  }
}

/// The user's command did not do what it should.
struct MetricError: NapError {
  let problem: String
  var recovery: String? { "it has to end with exit status 0, and a number as the last word it prints" }
}
