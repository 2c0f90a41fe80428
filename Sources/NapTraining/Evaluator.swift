package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// Measures loss and accuracy of a network on a data set, batch by batch; the caller owns the loop.
package final class Evaluator {
  private let plan: Plan
  private let batches: LoaderEpoch
  private let classes: Int
  package private(set) var sum = LossSum()

  /// - Throws: `TrainingError` when network and data do not fit.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, data: any Dataset, preset: Preset,
    batchSize: Int = 256, scalar: Scalar = .float32
  ) throws {
    try graph.checkClassifier(imageShape: data.imageShape, classes: data.classNames.count)
    classes = data.classNames.count
    plan = try Plan(
      graph, parameters: parameters ?? Parameters(graph), mode: .inference, scalar: scalar,
      batch: batchSize)
    batches = Loader(
      dataset: data, preset: preset, batchSize: batchSize, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0)
    ).epoch(0)
  }

  /// Evaluates one batch; `nil` when all have been seen.
  package func next() throws -> LossSum? {
    guard let batch = try batches.next() else { return nil }
    let imageSize = plan.inputShapes[0].dropFirst().reduce(1, *)
    // The last batch may be smaller; what is left of the one before is computed but not counted.
    plan.inputs[0].update(from: batch.pixels, count: batch.count * imageSize)
    plan.forward()
    sum.add(
      CrossEntropy().evaluate(
        logits: plan.outputs[0], labels: batch.labels.prefix(batch.count), classes: classes))
    return sum
  }
}
