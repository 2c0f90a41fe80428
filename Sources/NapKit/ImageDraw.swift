import NapCurvature
package import NapData
import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
package import NapTensor

/// Draws images that a network is unsure of.
///
/// Of images that a classifier is sure of, a small change changes next to nothing. So images are drawn
/// from many in proportion to the trace of the loss's curvature, which is `1 - Σ p²` of a classifier's
/// probabilities, and count the less for it: the same mean, from far fewer images.
package final class ImageDraw {
  /// Some of the drawn images more than once, and what each counts; the mean is about 1.
  package struct Drawn {
    package var images: Subset
    package var weights: [Double]
  }

  private let graph: Graph
  private let outputs: Outputs
  private let data: any Dataset
  private let preset: Preset
  private let scalar: Scalar
  private let temperature: Float
  private let poolFactor: Int
  private let order: [Int]
  /// Of the first images in order; measured when the first are drawn.
  private var doubts: [Double] = []

  /// - Parameter poolFactor: how many times as many images are looked at as are drawn.
  package init(
    _ graph: Graph, outputs: Outputs, from data: any Dataset, preset: Preset, scalar: Scalar,
    temperature: Float = CurvatureKind.temperature, poolFactor: Int = 16, seed: Seed
  ) {
    self.graph = graph
    self.outputs = outputs
    self.data = data
    self.preset = preset
    self.scalar = scalar
    self.temperature = temperature
    self.poolFactor = poolFactor
    var generator = seed.derived("pool").generator()
    order = (0..<data.count).shuffled(using: &generator)
  }

  /// - Parameters:
  ///   - count: of images, at most as many as there are.
  ///   - seed: the same one draws the same images.
  /// - Throws: `PlanError` when the network cannot be compiled, or what reading images throws.
  package func draw(_ count: Int, seed: Seed, progress: ProgressHandler = { _ in }) throws -> Drawn
  {
    let count = min(count, data.count)
    let size = min(data.count, poolFactor * count)
    if doubts.count < size { doubts = try measureDoubts(size, progress) }
    var generator = seed.derived("draw").generator()
    let places = Self.places(count, by: doubts[..<size], start: Double(generator.uniform()))
    return Drawn(
      images: Subset(data, indices: places.map { order[$0.index] }),
      weights: places.map(\.weight))
  }

  private func measureDoubts(_ size: Int, _ progress: ProgressHandler) throws -> [Double] {
    guard outputs.hasDoubts else { return [Double](repeating: 1, count: size) }
    let batch = graph.batchSize(upTo: min(128, size))
    let plan = try Plan(graph, scalar: scalar, batch: batch)
    let loader = Loader(
      dataset: Subset(data, indices: Array(order[..<size])), preset: preset, batchSize: batch,
      shuffle: false, augment: false, dropLast: false, seed: Seed(0))
    let epoch = loader.epoch(0)
    var result: [Double] = []
    while let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      result += (0..<images.count).map {
        outputs.doubt(of: plan.outputs, example: $0, temperature: temperature)
      }
      try progress(WorkProgress(stage: "drawing images", step: result.count, steps: size))
    }
    return result
  }

  /// Places at even distances along the sum of all doubts, and what an image there counts.
  ///
  /// - Parameter start: of the first, in parts of the distance.
  private static func places(_ count: Int, by doubts: ArraySlice<Double>, start: Double)
    -> [(index: Int, weight: Double)]
  {
    let total = doubts.reduce(0, +)
    let (step, mean) = (total / Double(count), total / Double(doubts.count))
    var sum = 0.0
    var result: [(index: Int, weight: Double)] = []
    for (index, doubt) in doubts.enumerated() {
      sum += doubt
      while result.count < count, (Double(result.count) + start) * step < sum {
        result.append((index, mean / doubt))
      }
    }
    return result
  }
}
