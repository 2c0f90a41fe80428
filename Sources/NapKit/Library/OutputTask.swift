import NapData
import NapOutputs
import NapTensor

/// What a program has an output learn: `DataSource.setTask(_:of:)` takes it.
///
/// All functions are about one example; outputs and targets are row by row.
public protocol OutputTask: Sendable {
  /// What reports call it.
  static var name: String { get }

  init()

  /// How far an output is from its target; smaller is better.
  ///
  /// - Parameters:
  ///   - output: what the network says.
  ///   - target: what is right.
  ///   - gradient: receives the derivatives by the output's numbers; it comes as zeros.
  func loss(of output: [Float], towards target: [Float], gradient: inout [Float]) -> Double

  /// How good the output is, from 0 to 1: networks are judged by its mean over the examples.
  func score(of output: [Float], towards target: [Float]) -> Double
}

extension DataSource {
  /// Has an output learn a task of the program's own, from the target that belongs to it.
  ///
  /// - Parameters:
  ///   - type: what is learned.
  ///   - output: the name of the output; `nil` for all.
  public mutating func setTask<Own: OutputTask>(_ type: Own.Type, of output: String? = nil) {
    ownTasks[output ?? ""] = AdaptedTask<Own>.self
  }
}

/// A program's task, as training and reports take it; beside it, the output counts as numbers.
struct AdaptedTask<Base: OutputTask>: Task {
  static var name: String { Base.name }
  static var summary: String { "a task of the program's own" }

  private let base = Base()
  private let size: Int

  static func fit(_ output: OutputForm, _ target: Field, measuring samples: OutputSamples)
    -> TaskFit?
  {
    TaskFit(task: AdaptedTask(size: target.count), kind: Numbers.self, axis: output.channelAxis)
  }

  private init(size: Int) { self.size = size }

  private func numbers(_ pointer: UnsafePointer<Float>, _ count: Int) -> [Float] {
    Array(UnsafeBufferPointer(start: pointer, count: count))
  }

  func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    var own = [Float](repeating: 0, count: place.count)
    let loss = base.loss(
      of: numbers(y, place.count), towards: numbers(t, size), gradient: &own)
    if let gradient {
      for (i, slope) in own.prefix(place.count).enumerated() { gradient[i] += factor * slope }
    }
    return loss
  }

  /// Examples, and the sum of their scores.
  func tallies(at place: OutputPlace) -> Int { 2 }

  func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double]
  ) {
    let score = base.score(of: numbers(y, place.count), towards: numbers(t, size))
    sums[0] += 1
    sums[1] += score.isFinite ? min(1, max(0, score)) : 0
  }

  func metrics(of sums: [Double], at place: OutputPlace) -> [NapOutputs.Metric] {
    [NapOutputs.Metric(Base.name, sums[1] / max(1, sums[0]))]
  }
}
