package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
import NapTensor

/// Measures loss and accuracy of a network on a data set, batch by batch; the caller owns the loop.
///
/// Without labels it is loss and agreement against another network, see `AgreementMeter`.
package final class Evaluator {
  /// Whether labels are asked, and no teacher.
  package var isLabelled: Bool { teacher == nil }
  private let plan: Plan
  private let loader: Loader
  private var batches: LoaderEpoch
  private var batchesSeen = 0
  private let classes: Int
  private let teacher: Plan?
  private let outputs: Outputs
  package private(set) var agreement: AgreementMeter
  package private(set) var sum = LossSum()

  /// - Parameter outputs: what they are; guessed from their shapes where it is `nil`.
  /// - Throws: `TrainingError` when network and data do not fit.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, data: any Dataset, preset: Preset,
    teacher: Graph? = nil, outputs: Outputs? = nil, batchSize: Int = 256, scalar: Scalar = .float32
  ) throws {
    try graph.check(fits: data)
    guard data.isLabelled || teacher != nil else { throw TrainingError.noLabels }
    classes = data.classNames.count
    plan = try Plan(graph, parameters: parameters, scalar: scalar, batch: batchSize)
    self.teacher =
      data.isLabelled
      ? nil
      : try teacher.map { try Plan($0, scalar: scalar, batch: batchSize) }
    self.outputs = outputs ?? Outputs(guessing: plan.outputShapes)
    agreement = AgreementMeter(self.outputs)
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
  }

  /// Between two batches; to set, of an evaluator of the same network, data and batch size.
  package var state: State {
    get { State(batches: batchesSeen, sum: sum, agreement: agreement.state) }
    set {
      (batchesSeen, sum) = (newValue.batches, newValue.sum)
      agreement.state = newValue.agreement
      batches = loader.epoch(0, from: batchesSeen)
    }
  }

  /// Evaluates one batch; `nil` when all have been seen.
  package func next() throws -> LossSum? {
    guard let batch = try batches.next() else { return nil }
    batchesSeen += 1
    let imageSize = plan.inputShapes[0].dropFirst().reduce(1, *)
    // The last batch may be smaller; what is left of the one before is computed but not counted.
    plan.inputs[0].update(from: batch.pixels, count: batch.count * imageSize)
    plan.forward()
    if let teacher {
      teacher.inputs[0].update(from: batch.pixels, count: batch.count * imageSize)
      teacher.forward()
      agreement.add(plan.outputs, towards: teacher.outputs, count: batch.count)
      let losses = outputs.losses(
        of: plan.outputs, towards: teacher.outputs, count: batch.count, temperature: 1)
      sum.loss += losses.reduce(0, +)
      sum.count += batch.count
      sum.correct = agreement.score * Double(sum.count)
      sum.standardError = agreement.worst?.standardError ?? 0
      return sum
    }
    sum.add(
      CrossEntropy().evaluate(
        logits: plan.outputs[0], labels: batch.labels.prefix(batch.count), classes: classes))
    return sum
  }
}
