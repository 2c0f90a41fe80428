import Foundation
package import NapData
import NapEngine
package import NapGraph
import NapKernels
package import NapTensor
import NapTraining

/// Measures how far the outputs of changed networks are from those of the original, on images that it is
/// unsure of.
package final class LossMeter {
  private let plan: Plan
  private let original: Graph
  private let batches: [MeasuredBatch]

  private struct MeasuredBatch {
    var pixels: [Float]
    /// What the images count; about 1 in sum over all batches.
    var weights: [Double]
    /// What the original says.
    var outputs: [[Float]]
  }

  /// - Parameter images: that are drawn from the pool.
  package init(
    _ graph: Graph, pool: any Dataset, images: Int, _ preset: Preset, seed: Seed = Seed(0),
    progress: ProgressHandler = { _ in }
  ) throws {
    original = graph
    let drawn = try ImageDraw(
      graph, from: pool, preset: preset, scalar: .float32, temperature: 1,
      poolFactor: Self.poolFactor, seed: seed
    ).draw(images, seed: seed, progress: progress)
    let size = graph.batchSize(upTo: min(64, drawn.images.count))
    plan = try Plan(graph, batch: size)
    let loader = Loader(
      dataset: drawn.images, preset: preset, batchSize: size, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0))
    let epoch = loader.epoch(0)
    var left = drawn.weights[...]
    var batches: [MeasuredBatch] = []
    while let batch = try epoch.next() {
      let count = batch.count * drawn.images.imageShape.product
      let pixels = Array(UnsafeBufferPointer(start: batch.pixels, count: count))
      batches.append(
        MeasuredBatch(
          pixels: pixels,
          weights: left.prefix(batch.count).map { $0 / Double(drawn.images.count) },
          outputs: Self.outputs(of: plan, pixels)))
      left = left.dropFirst(batch.count)
    }
    self.batches = batches
  }

  /// How many times as many images there should be in the pool as are drawn from it.
  package static let poolFactor = 32

  /// In nats for classifiers, the mean over the pool; for other outputs see `Imitation`.
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
      let outputs = Self.outputs(of: plan, batch.pixels)
      for (n, weight) in batch.weights.enumerated() {
        for (k, shape) in plan.outputShapes.enumerated() {
          let (after, before) = (row(n, of: outputs[k], shape), row(n, of: batch.outputs[k], shape))
          let loss =
            areLogits(shape)
            ? klDivergence(after, from: before) : squaredError(after, before, shape)
          sum += weight * loss / Double(outputs.count)
        }
      }
    }
    for (value, tensor) in graph.constants where tensor.isFloat {
      if let old = original.constants[value], old != tensor, plan.parameters.contains(value) {
        self.plan.parameters.set(value, old)
      }
    }
    return sum
  }

  private static func outputs(of plan: Plan, _ pixels: [Float]) -> [[Float]] {
    pixels.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { plan.inputs[0].update(from: base, count: source.count) }
    }
    plan.forward()
    return zip(plan.outputs, plan.outputShapes).map {
      Array(UnsafeBufferPointer(start: $0, count: $1.product))
    }
  }
}

private func row(_ n: Int, of output: [Float], _ shape: [Int]) -> ArraySlice<Float> {
  let size = shape.dropFirst().product
  return output[n * size..<(n + 1) * size]
}

private func logProbabilities(_ logits: ArraySlice<Float>) -> [Double] {
  let largest = Double(logits.max() ?? 0)
  let logSum = log(logits.reduce(0) { $0 + exp(Double($1) - largest) })
  return logits.map { Double($0) - largest - logSum }
}

/// `KL(q ‖ p)`, as `Σ q (r - 1 - log r)` with `r = p / q`: no term is negative, so that nothing cancels
/// where the two hardly differ.
private func klDivergence(_ logits: ArraySlice<Float>, from others: ArraySlice<Float>) -> Double {
  zip(logProbabilities(logits), logProbabilities(others)).reduce(0) { sum, pair in
    let d = pair.0 - pair.1
    return sum + exp(pair.1) * (expm1(d) - d)
  }
}

private func squaredError(
  _ values: ArraySlice<Float>, _ others: ArraySlice<Float>, _ shape: [Int]
) -> Double {
  values.withUnsafeBufferPointer { values in
    others.withUnsafeBufferPointer { others in
      guard let student = values.baseAddress, let teacher = others.baseAddress else { return 0 }
      let output = Imitation.Output(shape: shape, student: student, teacher: teacher)
      return Imitation().evaluate([output], count: 1).loss
    }
  }
}
