package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
import NapTensor

/// Measures a network on a data set by its tasks, batch by batch; the caller owns the loop.
///
/// Without targets it is loss and agreement against another network, see `AgreementMeter`.
package final class Evaluator {
  /// Whether targets are asked, and no teacher.
  package var isLabelled: Bool { teacher == nil }
  private let plan: Plan
  private let loader: Loader
  private var batches: LoaderEpoch
  private var batchesSeen = 0
  private let teacher: Plan?
  package let outputs: Outputs
  package private(set) var agreement: AgreementMeter
  package private(set) var tasks: TaskMeter
  package private(set) var sum = LossSum()

  /// - Parameter outputs: what they are; guessed from their shapes where it is `nil`.
  /// - Throws: `TrainingError` when network and data do not fit.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, data: any Dataset, preset: Preset,
    teacher: Graph? = nil, outputs: Outputs? = nil, batchSize: Int = 256, scalar: Scalar = .float32
  ) throws {
    try graph.check(fits: data)
    guard data.isLabelled || teacher != nil else { throw TrainingError.noLabels }
    plan = try Plan(graph, parameters: parameters, scalar: scalar, batch: batchSize)
    self.teacher =
      data.isLabelled
      ? nil
      : try teacher.map { try Plan($0, scalar: scalar, batch: batchSize) }
    self.outputs =
      try outputs
      ?? graph.guessedOutputs(plan.outputShapes, for: teacher == nil ? data : Unlabelled(data))
    guard self.teacher != nil || self.outputs.areLearned else {
      throw TrainingError.outputShape(plan.outputShapes.first ?? [])
    }
    agreement = AgreementMeter(self.outputs)
    tasks = TaskMeter(self.outputs)
    loader = Loader(
      dataset: data, preset: preset, batchSize: batchSize, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0))
    batches = loader.epoch(0)
  }

  /// What has been counted, for a job that is stopped and goes on.
  package struct State: Codable {
    fileprivate var batches: Int
    fileprivate var sum: LossSum
    fileprivate var agreement: AgreementMeter.State
    fileprivate var tasks: TaskMeter.State
  }

  /// Between two batches; to set, of an evaluator of the same network, data and batch size.
  package var state: State {
    get {
      State(batches: batchesSeen, sum: sum, agreement: agreement.state, tasks: tasks.state)
    }
    set {
      (batchesSeen, sum) = (newValue.batches, newValue.sum)
      agreement.state = newValue.agreement
      tasks.state = newValue.tasks
      batches = loader.epoch(0, from: batchesSeen)
    }
  }

  /// Evaluates one batch; `nil` when all have been seen.
  package func next() throws -> LossSum? {
    guard let batch = try batches.next() else { return nil }
    batchesSeen += 1
    // The last batch may be smaller; what is left of the one before is computed but not counted.
    plan.setInputs(batch.inputs, count: batch.count)
    plan.forward()
    teacher?.setInputs(batch.inputs, count: batch.count)
    teacher?.forward()
    sum.loss += Objective().losses(
      of: plan.outputs, outputs, targets: teacher == nil ? batch.targets : [],
      teacher: teacher?.outputs, count: batch.count
    ).reduce(0, +)
    sum.count += batch.count
    if let teacher {
      agreement.add(plan.outputs, towards: teacher.outputs, count: batch.count)
      sum.correct = agreement.score * Double(sum.count)
      sum.standardError = agreement.worst?.standardError ?? 0
    } else {
      tasks.add(plan.outputs, towards: batch.targets, count: batch.count)
      sum.correct = tasks.score * Double(sum.count)
    }
    return sum
  }
}
