import Foundation
package import NapData
import NapEngine
package import NapGraph
import NapKernels
package import NapOutputs
package import NapTensor
import NapTraining

/// Measures how far the outputs of changed networks are from those of the original, on images that it is
/// unsure of.
package final class LossMeter {
  private let plan: Plan
  private let original: Graph
  private let meanings: Outputs
  private let batches: [MeasuredBatch]

  private struct MeasuredBatch {
    var examples: Examples
    /// What the images count; about 1 in sum over all batches.
    var weights: [Double]
    /// What the original says.
    var outputs: [[Float]]
  }

  /// - Parameter images: that are drawn from the pool.
  package init(
    _ graph: Graph, outputs: Outputs, pool: any Dataset, images: Int, _ preset: Preset,
    seed: Seed = Seed(0),
    progress: ProgressHandler = { _ in }
  ) throws {
    original = graph
    meanings = outputs
    let drawn = try ImageDraw(
      graph, outputs: outputs, from: pool, preset: preset, scalar: .float32, temperature: 1,
      poolFactor: Self.poolFactor, seed: seed
    ).draw(images, seed: seed, progress: progress)
    let size = graph.batchSize(upTo: min(64, drawn.images.count))
    // Its weights are changed, so it has to have those of the network.
    plan = try Plan(graph, batch: size, rewrites: false)
    let loader = Loader(
      dataset: drawn.images, preset: preset, batchSize: size, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0))
    let epoch = loader.epoch(0)
    var left = drawn.weights[...]
    var batches: [MeasuredBatch] = []
    while let batch = try epoch.next() {
      let examples = Examples(batch, of: drawn.images)
      batches.append(
        MeasuredBatch(
          examples: examples,
          weights: left.prefix(batch.count).map { $0 / Double(drawn.images.count) },
          outputs: plan.outputs(of: examples)))
      left = left.dropFirst(batch.count)
    }
    self.batches = batches
  }

  /// How many times as many images there should be in the pool as are drawn from it.
  package static let poolFactor = 32

  /// The mean over the pool: in nats for classifiers; for other outputs see `Outputs`.
  package func divergence(of graph: Graph) throws -> Double {
    var plan = plan
    if graph.nodes.map(\.inputs) == original.nodes.map(\.inputs) {
      for (value, tensor) in graph.constants where tensor.isFloat {
        if original.constants[value] != tensor { plan.parameters.set(value, tensor) }
      }
      plan.prepare()
    } else {
      plan = try Plan(graph, batch: plan.batch)
    }
    var sum = 0.0
    for batch in batches {
      let outputs = plan.outputs(of: batch.examples)
      let losses = Self.losses(meanings, outputs, batch.outputs, count: batch.weights.count)
      for (loss, weight) in zip(losses, batch.weights) { sum += weight * loss }
    }
    for (value, tensor) in graph.constants where tensor.isFloat {
      if let old = original.constants[value], old != tensor, plan.parameters.contains(value) {
        self.plan.parameters.set(value, old)
      }
    }
    return sum
  }

  private static func losses(
    _ meanings: Outputs, _ outputs: [[Float]], _ targets: [[Float]], count: Int
  ) -> [Double] {
    withPointers(outputs) { outputs in
      withPointers(targets) { targets in
        meanings.losses(of: outputs, towards: targets, count: count, temperature: 1)
      }
    }
  }
}
