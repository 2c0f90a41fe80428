import NapData
import NapEngine
import NapGraph
import NapKernels
import NapOutputs
import NapReport
import NapTensor
import NapTraining

/// Held-out examples that nothing is trained on: they tell the better of two networks on the way, and
/// whether what is written is any good.
final class Watch {
  let data: any Dataset
  private let outputs: Outputs
  private let objective: Objective
  private let batchSize: Int
  private let batches: [Seen]

  private struct Seen {
    var examples: Examples
    /// What the original says, and what is imitated.
    var original: [[Float]]
    var teacher: [[Float]]
  }

  /// Examples at most.
  private static let most = 1024
  /// Bytes of examples and outputs at most.
  private static let mostBytes = 256 << 20

  /// Some examples of a data set, and the others.
  static func split(_ data: any Dataset, outputs: Outputs, seed: Seed) -> (
    watched: Subset, others: Subset
  ) {
    let size =
      (data.inputs + data.targets).reduce(0) { $0 + $1.count } + 2
      * outputs.meanings.reduce(0) { $0 + $1.size }
    let count = min(data.count, most, max(16, mostBytes / (4 * max(1, size))))
    let parts = data.split(holdingOut: count, seed: seed.derived("watch"))
    return (parts.heldOut, parts.rest)
  }

  /// - Parameter objective: what is trained on, where there are labels; without, its temperature.
  init(
    _ original: Graph, outputs: Outputs, teacher: Graph, data: any Dataset, preset: Preset,
    objective: Objective
  ) throws {
    self.data = data
    self.outputs = outputs
    self.objective = objective
    let size = original.batchSize(upTo: min(128, max(1, data.count)))
    batchSize = size
    let plans = try [original, teacher].map { try Plan($0, batch: size) }
    let epoch = Loader(
      dataset: data, preset: preset, batchSize: size, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0)
    ).epoch(0)
    var batches: [Seen] = []
    while let batch = try epoch.next() {
      let examples = Examples(batch, of: data)
      let said = plans.map { $0.outputs(of: examples) }
      batches.append(Seen(examples: examples, original: said[0], teacher: said[1]))
    }
    self.batches = batches
  }

  /// The mean of what training minimizes; infinite where outputs are no numbers.
  func loss(of graph: Graph) throws -> Double {
    let plan = try Plan(graph, batch: batchSize)
    var (sum, count) = (0.0, 0)
    for batch in batches {
      let said = plan.outputs(of: batch.examples)
      guard said.allSatisfy({ $0.allSatisfy(\.isFinite) }) else { return .infinity }
      sum += withPointers(said) { said in
        withPointers(batch.teacher) { teacher in
          withPointers(batch.examples.targets) { targets in
            objective.losses(
              of: said, outputs, targets: targets, teacher: teacher, count: batch.examples.count
            ).reduce(0, +)
          }
        }
      }
      count += batch.examples.count
    }
    return sum / Double(max(1, count))
  }

  /// How far a network agrees with the original.
  func agreement(of graph: Graph) throws -> AgreementMeter {
    let plan = try Plan(graph, batch: batchSize)
    var meter = AgreementMeter(outputs)
    for batch in batches {
      withPointers(plan.outputs(of: batch.examples)) { said in
        withPointers(batch.original) { meter.add(said, towards: $0, count: batch.examples.count) }
      }
    }
    return meter
  }

  /// What the report says of every part of every output.
  func reports(of graph: Graph) throws -> [OutputReport] {
    try agreement(of: graph).reports(outputs)
  }
}

/// The memory of several arrays at once.
func withPointers<R>(_ arrays: [[Float]], _ body: ([UnsafePointer<Float>]) throws -> R) rethrows
  -> R
{
  func next(_ arrays: ArraySlice<[Float]>, _ found: [UnsafePointer<Float>]) throws -> R {
    guard let first = arrays.first else { return try body(found) }
    return try first.withUnsafeBufferPointer { buffer in
      try next(arrays.dropFirst(), found + [buffer.baseAddress].compactMap { $0 })
    }
  }
  return try next(arrays[...], [])
}

extension AgreementMeter {
  /// What a report says of every part of every output.
  func reports(_ outputs: Outputs) -> [OutputReport] {
    let meanings = outputs.meanings.flatMap { meaning in meaning.parts.map { _ in meaning } }
    return zip(meanings, parts).map { meaning, part in
      var report = OutputReport(
        name: part.output, kind: part.kind, axis: meaning.axis + 1,
        firstChannel: part.channels.lowerBound, channels: part.channels.count,
        reason: meaning.reason, agreement: part.score, examples: count)
      report.equalDecisions = part.equalDecisions
      report.cosine = part.cosine
      report.explained = part.explained?.mean
      report.leastExplained = part.explained?.least
      report.leastExplainedChannel = part.explained?.leastChannel
      return report
    }
  }
}
