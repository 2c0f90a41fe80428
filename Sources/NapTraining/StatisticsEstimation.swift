package import NapData
package import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// Estimates the running statistics of all normalizations anew, as plain means over some batches.
///
/// Cutting and compensation change what normalizations see; a few hundred images are enough to
/// tell them.
package final class StatisticsEstimation {
  private let plan: Plan
  private let batches: LoaderEpoch
  private var done = 0
  package let steps: Int

  /// - Parameter augment: whether images are varied as in training; candidates are compared on clean ones.
  /// - Throws: `TrainingError` when network and data do not fit.
  package init(
    _ graph: Graph, parameters: Parameters, data: any Dataset, preset: Preset, images: Int,
    batchSize: Int, scalar: Scalar, augment: Bool = true, seed: Seed
  ) throws {
    try graph.check(fits: data)
    plan = try Plan(
      graph, parameters: parameters, mode: .training, scalar: scalar, batch: batchSize)
    let loader = Loader(
      dataset: data, preset: preset, batchSize: batchSize, shuffle: true, augment: augment,
      dropLast: true,
      seed: seed.derived("statistics"))
    steps = min(loader.batchesPerEpoch, max(1, images / batchSize))
    batches = loader.epoch(0)
  }

  /// Takes in one batch; `false` when all have been seen.
  package func next() throws -> Bool {
    guard done < steps, let batch = try batches.next() else { return false }
    plan.setInputs(batch.inputs, count: batch.count)
    plan.statisticsMomentum = Float(done) / Float(done + 1)
    plan.forward()
    done += 1
    return true
  }
}
