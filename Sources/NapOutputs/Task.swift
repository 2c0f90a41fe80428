package import NapData
import NapTensor

/// What is learned of an output from targets: a loss, and in which terms it is told how well that went.
///
/// All functions are about one example. `y` points to all numbers of the example's output, `t` to those of
/// its target.
package protocol Task: Sendable {
  /// The name after `--task`.
  static var name: String { get }
  /// One sentence for `--help`.
  static var summary: String { get }

  /// The task, where an output of this shape can learn it from such a target.
  ///
  /// - Returns: the task, what the output then is, and the axis along which meanings differ; `nil` where
  ///   they do not fit.
  static func fit(_ output: OutputForm, _ target: Field, measuring samples: OutputSamples)
    -> TaskFit?

  /// Whether a target's number cannot be: a class that there is not, say. `nil` is for a sound one.
  func problem(of number: Float, at place: OutputPlace) -> String?

  /// The loss, the mean over the positions.
  ///
  /// - Parameters:
  ///   - smoothing: probability mass that is spread over all classes, where there are some.
  ///   - gradient: the derivatives by `y`, times `factor`, are added to it.
  func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double

  /// How many sums `metrics` is computed from.
  func tallies(at place: OutputPlace) -> Int
  /// Adds what an example tells.
  func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double])
  /// How well it is learned; the first is what networks are judged by, 1 at best.
  func metrics(of sums: [Double], at place: OutputPlace) -> [Metric]
}

extension Task {
  package var name: String { Self.name }
  package func problem(of number: Float, at place: OutputPlace) -> String? { nil }
}

/// A task that fits an output.
package struct TaskFit {
  package var task: any Task
  package var kind: any OutputKind.Type
  /// Of one example's shape.
  package var axis: Int

  package init(task: any Task, kind: any OutputKind.Type, axis: Int) {
    (self.task, self.kind, self.axis) = (task, kind, axis)
  }
}

/// An output without its batch.
package struct OutputForm: Sendable {
  package var shape: [Int]
  /// The axis of features, as the layers before have it.
  package var channelAxis: Int
  /// Whether a sigmoid follows.
  package var isYesOrNo: Bool

  package init(shape: [Int], channelAxis: Int = 0, isYesOrNo: Bool = false) {
    (self.shape, self.channelAxis, self.isYesOrNo) = (shape, channelAxis, isYesOrNo)
  }

  /// Whether a target has a number for each of the output's.
  func isLike(_ target: Field) -> Bool {
    shape.filter { $0 != 1 } == target.shape.filter { $0 != 1 }
  }
}

/// Every task, in the order in which they are tried: a new one is a file of its own and a line here.
package let allTasks: [any Task.Type] = [
  Classes.self,
  NextToken.self,
  Binary.self,
  Regression.self,
]

/// How well something is learned.
package struct Metric: Codable, Sendable, Hashable {
  package var name: String
  /// A share in `0...1`, but where `isShare` says something else.
  package var value: Double
  package var isShare = true

  package init(_ name: String, _ value: Double, isShare: Bool = true) {
    (self.name, self.value, self.isShare) = (name, value, isShare)
  }
}

/// Tells how well tasks are learned, over many examples.
package struct TaskMeter: Sendable {
  private let outputs: Outputs
  package private(set) var count = 0
  private var sums: [[Double]]

  package init(_ outputs: Outputs) {
    self.outputs = outputs
    sums = outputs.meanings.map { meaning in
      let tallies = meaning.task?.task.tallies(at: meaning.parts[0].place) ?? 0
      return [Double](repeating: 0, count: tallies)
    }
  }

  /// Adds the first `count` examples of a batch.
  package mutating func add(
    _ ys: [UnsafePointer<Float>], towards ts: [UnsafePointer<Float>], count: Int
  ) {
    self.count += count
    for (k, meaning) in outputs.meanings.enumerated() {
      guard let (task, target) = meaning.task else { continue }
      for n in 0..<count {
        task.tally(
          of: ys[k] + n * meaning.size, towards: ts[target.index] + n * target.size,
          at: meaning.parts[0].place, into: &sums[k])
      }
    }
  }

  /// By output that has a task.
  package var metrics: [(output: String, metrics: [Metric])] {
    zip(outputs.meanings, sums).compactMap { meaning, sums in
      meaning.task.map {
        (meaning.name, $0.task.metrics(of: sums, at: meaning.parts[0].place))
      }
    }
  }

  /// The mean of what the outputs are judged by; 1 at best.
  package var score: Double {
    let scores = metrics.compactMap { $0.metrics.first?.value }
    guard count > 0, !scores.isEmpty else { return 0 }
    let mean = scores.reduce(0, +) / Double(scores.count)
    return mean.isFinite ? mean : 0
  }

  /// What has been counted, for a job that is stopped and goes on; of the same outputs.
  package struct State: Codable {
    fileprivate var count: Int
    fileprivate var sums: [[Double]]
  }

  package var state: State {
    get { State(count: count, sums: sums) }
    set { (count, sums) = (newValue.count, newValue.sums) }
  }
}
