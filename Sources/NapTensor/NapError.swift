public import Foundation

/// An error caused by a file, the data or a setting: a fact and, where there is one, what to do next.
///
/// All errors of nap that a program can do something about conform to it. `localizedDescription` is the
/// sentence, `recoverySuggestion` the advice; where the command line has an option, both name the property
/// of the library instead.
public protocol NapError: LocalizedError, CustomStringConvertible, Sendable {
  /// What is wrong, in one sentence that names the file, node or option, lower case and without a final
  /// period.
  var problem: String { get }
  /// What can be done about it, on the command line.
  var recovery: String? { get }
  /// Whether the same job would end so again, whatever becomes of the machine and its files.
  var isFinal: Bool { get }
}

extension NapError {
  public var recovery: String? { nil }
  public var isFinal: Bool { false }
  public var description: String { (recovery.map { "\(problem); \($0)" } ?? problem).printable }
  public var errorDescription: String? { problem.printable.namingProperties }
  public var recoverySuggestion: String? { recovery?.printable.namingProperties }
}

extension String {
  /// With properties of the library in place of options of the command.
  var namingProperties: String {
    replacing(/--(?:no-)?([a-z]+(?:-[a-z]+)*)(?:=| )?/) { match in
      let option = String(match.1)
      let words = option.split(separator: "-")
      let plain = words.dropFirst().reduce(String(words[0])) { $0 + $1.capitalized }
      let name = optionsByOtherNames[option] ?? plain
      return "`\(name)`" + (match.0.last.map { $0 == " " || $0 == "=" } ?? false ? " " : "")
    }
  }
}

/// Options that are called otherwise in the library.
private let optionsByOtherNames = [
  "data": "source", "input-shape": "inputShapes", "time": "seconds", "round": "multiple",
  "max-factor": "largestFactor", "macs": "goal", "params": "goal", "latency": "goal",
  "sparsity": "goal", "max-drop": "goal", "task": "tasks", "freeze": "frozenNodes",
  "save-memory": "savesMemory", "augment": "augments", "threads": "Runtime.prepare(threads:)",
  "input": "inputs", "judge-by-metric": "isJudgedByMetric",
]
