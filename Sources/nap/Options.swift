public import ArgumentParser
import Foundation
public import NapKit
import NapTensor

extension Precision: ExpressibleByArgument {}

extension Pruning.Optimizer: ExpressibleByArgument {}

extension Pruning.Dynamic.Gates: ExpressibleByArgument {}

extension Pruning.Granularity: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { description }
}

/// A length of time, such as `30m`, `2h`, `90s`, `1h30m`, `5 min` or `1.5 hours`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Double

  init?(argument: String) {
    let text = argument.lowercased().filter { !$0.isWhitespace }
    var (total, rest) = (0.0, text[...])
    while !rest.isEmpty {
      let number = rest.prefix { $0.isNumber || $0 == "." }
      rest = rest.dropFirst(number.count)
      let unit = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(unit.count)
      guard let value = Double(number), !(number.isEmpty && unit.isEmpty) else { return nil }
      let factor: Double? =
        switch unit {
        case "h", "hr", "hrs", "hour", "hours": 3600
        case "m", "min", "mins", "minute", "minutes": 60
        case "s", "sec", "secs", "second", "seconds": 1
        case "d", "day", "days": 86_400
        // A bare number, with nothing before or behind it.
        case "" where total == 0 && rest.isEmpty: 1
        default: nil
        }
      guard let factor else { return nil }
      total += factor * value
    }
    guard total > 0, total < 1e9 else { return nil }
    seconds = total
  }
}

/// A part of a whole, such as `0.5` or `50%`.
struct Share: ExpressibleByArgument, CustomStringConvertible {
  let value: Double
  private let text: String

  init(value: Double) { (self.value, text) = (value, String(value)) }

  init?(argument: String) {
    let text = argument.filter { !$0.isWhitespace }
    let isPercent = text.hasSuffix("%")
    guard let number = Double(isPercent ? String(text.dropLast()) : text) else { return nil }
    value = isPercent ? number / 100 : number
    self.text = argument
  }

  var description: String { text }

  /// - Parameter option: which gave it.
  /// - Throws: `ValidationError` unless it lies between 0 and 1.
  func check(_ option: String, allowsWhole: Bool = false) throws {
    guard value > 0, value < 1 || allowsWhole && value == 1 else {
      let hint =
        value > 1 && value < 100 && !text.contains("%")
        ? "; for \(text) percent write \(text)%" : ""
      throw ValidationError("\(option) \(text) does not lie between 0 and 1\(hint)")
    }
  }
}

extension Timing.Mode: ExpressibleByArgument {}

/// How the result is printed.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print exactly one JSON object on standard output.")
  var json = false

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  func progress(_ terminal: Terminal) -> ProgressHandler {
    quiet ? { _ in try Interruption.check() } : { try terminal.show($0) }
  }
}

/// How a network is trained, in every command that does.
struct EngineOptions: ParsableArguments {
  @Option(help: "The numbers to train in: auto (bfloat16 where it is fast), float32 or bfloat16.")
  var precision = Precision.auto

  @Flag(
    help:
      "Compute normalizations and wide products again in the backward pass instead of keeping them: less memory, a little slower."
  )
  var saveMemory = false
}

/// Sizes for inputs that the file leaves open.
struct ShapeOptions: ParsableArguments {
  @Option(
    name: .customLong("input-shape"), parsing: .singleValue,
    help: ArgumentHelp(
      "The shape of an input the file leaves open, e.g. image=1x3x32x32 (may be repeated); data that have a size of their own tell it.",
      valueName: "name=shape"))
  var inputShapes: [String] = []

  func shapes() throws -> [String: [Int]] {
    var result: [String: [Int]] = [:]
    for text in inputShapes {
      let parts = text.split(separator: "=", maxSplits: 1)
      let sizes = parts.count == 2 ? parts[1].split(separator: "x").map { Int($0) ?? 0 } : []
      guard parts.count == 2, !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 && $0 < 1 << 31 }) else {
        throw ValidationError("'\(text)' is not of the form name=1x3x32x32")
      }
      result[String(parts[0])] = sizes
    }
    return result
  }
}

/// What outputs are, where the user knows better than nap.
struct OutputsOptions: ParsableArguments {
  @Option(
    name: .customLong("outputs"), parsing: .singleValue,
    help: ArgumentHelp(
      "What an output is, where nap takes it for something else (may be repeated); kinds: auto, \(OutputChoice.kinds.map(\.name).joined(separator: ", ")); an axis, and how much it counts beside other outputs, may follow: boxes=numbers:1*2.",
      valueName: "name=kind"))
  var texts: [String] = []

  func choices() throws -> [String: OutputChoice] {
    var result: [String: OutputChoice] = [:]
    for text in texts {
      // Names may hold an equals sign, kinds none.
      guard let sign = text.lastIndex(of: "=") else {
        throw ValidationError("'\(text)' is not of the form name=kind")
      }
      result[String(text[..<sign])] = try OutputChoice(
        String(text[text.index(after: sign)...]))
    }
    return result
  }
}

/// What decides how wide layers are.
struct AllocationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How much less layers count that resemble others, for the allocator itpruner (default: chosen by nap).",
      valueName: "number"))
  var beta: Double?

  @Option(help: "How many networks the allocator metapruning tries.")
  var candidates = 1000

  func validate() throws {
    if let beta, !beta.isFinite { throw ValidationError("--beta \(beta) is not a number") }
    guard (1...1_000_000).contains(candidates) else {
      throw ValidationError("--candidates \(candidates) is out of range")
    }
  }

  func apply(to pruning: inout Pruning) {
    pruning.beta = beta
    pruning.candidates = candidates
  }
}

extension Pruning {
  /// - Throws: `ValidationError` when one of the names is no criterion, or no allocator.
  static func check(_ names: [String], allocators chosen: [String] = []) throws {
    try check("criterion", names, among: criteria.map(\.name))
    try check("allocator", chosen, among: allocators.map(\.name))
  }

  private static func check(_ kind: String, _ names: [String], among known: [String]) throws {
    for name in names where !known.contains(name) {
      // Only this is known for wrong usage while options are checked.
      let answer = noSuch(kind, name, of: known)
      throw ValidationError("\(answer.problem); \(answer.recovery)")
    }
  }
}
