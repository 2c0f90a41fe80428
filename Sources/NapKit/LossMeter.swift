import Foundation
package import NapData
import NapEngine
package import NapGraph
import NapKernels
import NapTensor
import NapTraining

/// Measures how far the outputs of changed networks are from those of the original.
///
/// Of images that a classifier is sure of, a small change changes next to nothing. So images are drawn
/// from many in proportion to `1 - Σ p²` of the original's probabilities, the trace of the loss's
/// curvature, and count the less for it: the same mean, from far fewer images.
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

  /// - Parameter images: that are drawn from the pool, some of them perhaps more than once.
  package init(_ graph: Graph, pool: any Dataset, images: Int, _ preset: Preset) throws {
    original = graph
    let size = graph.batchSize(upTo: min(64, pool.count))
    let plan = try Plan(graph, batch: size)
    func forEach(_ data: any Dataset, _ body: ([Float], Int) -> Void) throws {
      let loader = Loader(
        dataset: data, preset: preset, batchSize: size, shuffle: false, augment: false,
        dropLast: false, seed: Seed(0))
      let epoch = loader.epoch(0)
      while let batch = try epoch.next() {
        let count = batch.count * data.imageShape.product
        body(Array(UnsafeBufferPointer(start: batch.pixels, count: count)), batch.count)
      }
    }
    var doubts: [Double] = []
    try forEach(pool) { pixels, count in
      let outputs = Self.outputs(of: plan, pixels)
      doubts += (0..<count).map { Self.doubt(outputs, plan.outputShapes, $0) }
    }
    var left = Self.draw(min(images, pool.count), by: doubts)[...]
    var batches: [MeasuredBatch] = []
    try forEach(Subset(pool, indices: left.map(\.index))) { pixels, count in
      batches.append(
        MeasuredBatch(
          pixels: pixels, weights: left.prefix(count).map(\.weight),
          outputs: Self.outputs(of: plan, pixels)))
      left = left.dropFirst(count)
    }
    self.plan = plan
    self.batches = batches
  }

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

  /// How unsure the original is of an image; the same of all where outputs are no logits.
  private static func doubt(_ outputs: [[Float]], _ shapes: [[Int]], _ n: Int) -> Double {
    zip(outputs, shapes).reduce(1e-12) { sum, output in
      guard areLogits(output.1) else { return sum + 1 }
      let p = logProbabilities(row(n, of: output.0, output.1)).map(exp)
      return sum + p.reduce(0) { $0 + $1 * (1 - $1) }
    }
  }

  /// Places at even distances along the sum of all doubts, and what an image there counts.
  private static func draw(_ count: Int, by doubts: [Double]) -> [(index: Int, weight: Double)] {
    let step = doubts.reduce(0, +) / Double(count)
    var (sum, next) = (0.0, step / 2)
    var result: [(index: Int, weight: Double)] = []
    for (index, doubt) in doubts.enumerated() {
      sum += doubt
      while next < sum {
        result.append((index, step / (doubt * Double(doubts.count))))
        next += step
      }
    }
    return result
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
