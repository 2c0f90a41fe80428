import Foundation
package import NapData
import NapGraph
import NapOutputs
import NapTensor

/// Where images and labels come from, and how they are prepared.
public struct DataSource: Sendable {
  /// A folder or file in one of the layouts that are recognized; of a program's own examples, what to call
  /// them.
  public var path: String
  /// What the program brings itself, by split.
  private var examples: [Split: any ExampleSource]?
  package var preset: Preset
  /// What outputs learn from the data's targets, by name, where nap is not to find it out; the empty name is
  /// for all. One of `taskNames`.
  public var tasks: [String: String] = [:]

  /// Names and summaries of the tasks.
  public static var taskNames: [(name: String, summary: String)] {
    allTasks.map { ($0.name, $0.summary) }
      + [(TaskRecognition.imitation, "what the network says is kept, whatever the targets are")]
  }

  /// The names of all presets.
  public static var presets: [String] { Preset.all.map(\.name) }

  /// - Throws: when there is no preset of that name.
  public init(path: String, preset name: String) throws {
    guard let preset = Preset.named(name) else {
      throw UsageError(noSuch: "preset", name, of: Self.presets)
    }
    self.path = path
    self.preset = preset
  }

  /// - Parameter network: what the examples are for; `nil` where there is none yet.
  package func open(_ split: Split, for network: Network?) throws -> any Dataset {
    var request = DataRequest()
    if let network {
      let (graph, shape) = (network.graph, network.imageShape)
      if shape.count == 3 { request.imageSize = (height: shape[1], width: shape[2]) }
      request.inputs = graph.inputs.map { (graph.name(of: $0.value), $0.elementType != .float32) }
      request.outputs = graph.outputs.map { graph.name(of: $0.value) }
    }
    return try open(split, request)
  }

  /// Examples that the program brings itself.
  ///
  /// - Parameters:
  ///   - training: what is learned from, and held out from.
  ///   - test: what only reports are about; without, some of the training examples are held out.
  ///   - name: what to call them in reports and errors.
  public init(
    _ training: any ExampleSource, test: (any ExampleSource)? = nil, name: String = "the examples"
  ) {
    path = name
    preset = .asTheyAre
    examples = [.train: training]
    examples?[.test] = test
  }

  package func open(_ split: Split, _ request: DataRequest) throws -> any Dataset {
    let data = try dataset(split, request)
    let said = Set(tasks.values)
    if said.contains(TaskRecognition.imitation) { return Unlabelled(data) }
    return said.contains(NextToken.name) && data.targets.isEmpty ? try NextTokens(data) : data
  }

  private func dataset(_ split: Split, _ request: DataRequest) throws -> any Dataset {
    guard let examples else { return try Datasets.open(path, split: split, for: request) }
    guard let source = examples[split] else {
      throw DataError.noSplit(path: path, split: split.rawValue)
    }
    return try SourceDataset(source, for: request)
  }

  /// The test split where there is one.
  package func openTest(for network: Network) throws -> (any Dataset)? {
    do {
      return try open(.test, for: network)
    } catch DataError.noSplit {
      return nil
    }
  }
}

/// A wrong use of an option: exit status 2 on the command line.
public struct UsageError: NapError, Equatable {
  public let problem: String
  public let recovery: String?

  package init(_ problem: String, recovery: String? = nil) {
    self.problem = problem
    self.recovery = recovery
  }

  /// A name that is none of those there are.
  package init(noSuch what: String, _ name: String, of names: [String]) {
    let answer = NapTensor.noSuch(what, name, of: names)
    (problem, recovery) = (answer.problem, answer.recovery)
  }
}
