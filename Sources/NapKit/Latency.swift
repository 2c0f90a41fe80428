import Foundation
import NapEngine
import NapGraph
package import NapPruning
import NapReport
import NapTensor

/// How long the nodes of a network take, at several widths: what `--latency` decides by.
public struct Latency: Sendable {
  package var table: LatencyTable

  /// Measures a network, and uniformly narrower ones, on this machine.
  ///
  /// - Parameters:
  ///   - network: what is measured.
  ///   - batchSize: images that go through at once.
  ///   - progress: sees every step; what it throws stops the work.
  public init(
    measuring network: Network, batchSize: Int = 1, progress: ProgressHandler = { _ in }
  ) throws {
    var entries: [LatencyTable.Entry] = []
    for (step, width) in Self.widths.enumerated() {
      entries += try Self.entries(of: try network.graph.trunk.narrowed(to: width), batchSize)
      try progress(
        WorkProgress(stage: "measuring latencies", step: step + 1, steps: Self.widths.count))
    }
    table = LatencyTable(entries)
  }

  private static let widths = [1, 0.75, 0.5, 0.25, 0.125]

  private static func entries(of graph: Graph, _ batchSize: Int) throws -> [LatencyTable.Entry] {
    let shapes = try graph.shapes(batch: 1)
    let plan = try Plan(graph, batch: graph.batchSize(batchSize), rewrites: false)
    var seconds: [Int: Double] = [:]
    for step in plan.stepTimes(runs: 15) {
      if let node = step.node { seconds[node, default: 0] += step.seconds }
    }
    return seconds.sorted { $0.key < $1.key }.map { index, seconds in
      let node = graph.nodes[index]
      let places = LatencyModel.places(of: node, graph, shapes)
      func size(_ place: IndexAtoms.Place?) -> Int? {
        place.map { shapes[$0.value.index][$0.axis] }
      }
      let outputs = size(places.outputs) ?? 1
      return LatencyTable.Entry(
        node: node.name, inputs: size(places.inputs) ?? outputs, outputs: outputs,
        nanoseconds: 1e9 * seconds)
    }
  }

  /// How long a pass through each of two networks takes here.
  static func measured(_ before: Network, _ after: Network, batchSize: Int) throws
    -> PruningReport.Latency
  {
    let times = try measured([before, after], batchSize: batchSize)
    var result = PruningReport.Latency(
      batchSize: before.graph.batchSize(batchSize), measuredBefore: 1000 * times[0].median,
      measuredAfter: 1000 * times[1].median)
    result.spreadBefore = 1000 * times[0].spread
    result.spreadAfter = 1000 * times[1].spread
    result.runs = times[0].runs
    result.threads = Runtime.threads
    result.precision = precision.rawValue
    return result
  }

  /// How long a pass through each of some networks takes here, in turns, as machines change their speed.
  static func measured(_ networks: [Network], batchSize: Int) throws -> [MeasuredTime] {
    let plans = try networks.map {
      try Plan($0.graph, scalar: precision.scalar, batch: $0.graph.batchSize(batchSize))
    }
    for plan in plans { plan.forward() }
    return measuredTimes(of: plans.map { plan in { plan.forward() } }, rounds: 5...101, seconds: 2)
  }

  private static let precision = Precision.float32
}

// MARK: Files
extension Latency {
  /// Milliseconds of a node: more than a day is no time but a mistake.
  private static let longest = 1e8
  private static let header = "node,inputs,outputs,milliseconds"

  /// Names of nodes may have ends of lines in them, of several kinds: `\u{a}`.
  private static func escaped(_ name: String) -> String {
    name.unicodeScalars.map { scalar in
      scalar == "\\" || Character(scalar).isNewline
        ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }.joined()
  }

  private static func unescaped(_ text: String) -> String {
    text.replacing(/\\u\{([0-9a-f]{1,6})\}/) { match in
      UInt32(match.1, radix: 16).flatMap(Unicode.Scalar.init).map { String($0) } ?? String(match.0)
    }
  }

  /// The table as CSV: one line for every node and size.
  public var csv: String {
    let lines = table.entries.map {
      "\(Self.escaped($0.node)),\($0.inputs),\($0.outputs),\(String(format: "%.6f", $0.nanoseconds / 1e6))"
    }
    return ([Self.header] + lines).joined(separator: "\n") + "\n"
  }

  /// Reads a table, such as one with times from another device.
  ///
  /// - Throws: `UsageError` when it is none, or is about other nodes.
  public init(contentsOf path: String, for network: Network) throws {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw UsageError("cannot read the table '\(path)'", recovery: nil)
    }
    // Behind a time there may be blanks; before a node they are of its name.
    let lines = text.split(whereSeparator: \.isNewline).map {
      $0.allSatisfy(\.isWhitespace) ? "" : String($0)
    }
    guard lines.first?.trimmingCharacters(in: .whitespaces) == Self.header else {
      throw UsageError(
        "the table '\(path)' does not begin with the line \(Self.header)",
        recovery: "nap profile --latency-table writes one to fill in")
    }
    var entries: [LatencyTable.Entry] = []
    for (number, line) in lines.enumerated().dropFirst() where !line.isEmpty {
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count >= 4, let inputs = Int(fields[fields.count - 3]),
        let outputs = Int(fields[fields.count - 2]),
        let time = Double(fields[fields.count - 1].trimmingCharacters(in: .whitespaces)),
        inputs > 0, outputs > 0, (0...Self.longest).contains(time)
      else {
        throw UsageError(
          "line \(number + 1) of '\(path)' is not of the form \(Self.header)", recovery: nil)
      }
      let node = Self.unescaped(fields[..<(fields.count - 3)].joined(separator: ","))
      entries.append(
        LatencyTable.Entry(node: node, inputs: inputs, outputs: outputs, nanoseconds: 1e6 * time))
    }
    guard entries.contains(where: { $0.nanoseconds > 0 }) else {
      throw UsageError("the table '\(path)' says that nothing takes any time", recovery: nil)
    }
    table = LatencyTable(entries)
    let known = Set(entries.map(\.node))
    let missing = network.graph.nodes.first {
      $0.op is any AffineOperator && !known.contains($0.name)
    }
    if let missing {
      throw UsageError(
        "the table '\(path)' says nothing of the node '\(missing.name)'",
        recovery: "nap profile --latency-table writes one to fill in")
    }
  }
}

extension Graph {
  /// The network with about a share of the channels of every set, whichever they are.
  fileprivate func narrowed(to width: Double) throws -> Graph {
    guard width < 1 else { return self }
    let model = try PruningModel(self)
    for set in model.units.sets {
      let left = max(1, Int((width * Double(set.count)).rounded()))
      for index in set[left...] where model.mayRemove(model.units.units[index]) {
        model.remove(index, compensating: false)
      }
    }
    return try model.results().cut
  }
}
