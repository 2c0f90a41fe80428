import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// Finds the image that every filter of a layer answers most to, at its central position: gradient
/// ascent from one image of noise, all filters side by side.
///
/// Steps have the same length whatever the size of a gradient; images fade, and spread a little, which
/// is the gradient of penalties on their norm and on the squared differences of neighbours. They are as
/// large as what the central position sees, and move by a pixel or two between steps. Inputs that are no
/// images `[C, H, W]` are taken whole, and neither spread nor move.
///
/// - Source: Erhan et al. 2009; Olah et al. 2017, doi:10.23915/distill.00007; for pruning, Qin et al.
///   2018, arXiv:1810.07322.
package struct ActivationMaximization {
  /// The network up to the layer, for inputs as large as what is seen.
  private let graph: Graph
  private let response: FilterResponse
  /// Of one input.
  private let shape: [Int]
  private let seed: Seed
  private var isImage: Bool { shape.count == 3 }

  /// - Throws: `GraphError` or `PlanError` where the network cannot be compiled.
  package init(_ response: FilterResponse, of graph: Graph, seed: Seed) throws {
    self.response = response
    self.seed = seed
    let whole = try graph.truncated(to: [response.value])
    self.graph = try Self.cropped(whole, response, seed) ?? whole
    shape = Array(self.graph.inputShapes(batch: 1)[0].dropFirst())
  }

  /// Filters that go side by side at most: more take memory and save no time.
  private static let mostAtOnce = 64
  private static let steps = 64
  /// Of the first step, in units of normalized pixels; the last is a quarter of it.
  private static let rate: Float = 0.25
  /// How much images fade; without a better direction their pixels tend to its inverse.
  private static let fading: Float = 0.5
  private static let spreading: Float = 0.1
  /// Steps over which answers are averaged, and by what share they have to grow.
  private static let window = 8
  private static let leastGain: Float = 0.01

  /// - Parameter progress: told of filters that are done; what it throws ends the work.
  package func run(progress: (_ done: Int, _ filters: Int) throws -> Void = { _, _ in }) throws
    -> FilterFunctions
  {
    let count = response.filters
    let batch = graph.batchSize(min(count, Self.mostAtOnce))
    let input = graph.inputs[0].value
    let plan = try Plan(graph, mode: .gradients, batch: batch, gradientsOf: [input])
    guard let slopes = plan.valueGradients[input] else {
      preconditionFailure("a gradient that was asked for is there")
    }
    var result = FilterFunctions(
      images: Tensor(shape: [0], floats: []), answers: Matrix(rows: count, columns: count),
      silent: [])
    var images: [Float] = []
    for first in stride(from: 0, to: count, by: batch) {
      let filters = (0..<batch).map { min(first + $0, count - 1) }
      let found = ascend(filters, plan, slopes)
      for b in 0..<min(batch, count - first) {
        images += found.images[b * shape.product..<(b + 1) * shape.product]
        if found.silent.contains(b) { result.silent.append(first + b) }
        for k in 0..<count {
          let place = response.place(example: b, of: batch, filter: k, in: plan.outputShapes[0])
          result.answers[first + b, k] = Double(plan.outputs[0][place])
        }
      }
      try progress(min(count, first + batch), count)
    }
    result.images = Tensor(shape: [count] + shape, floats: images)
    return result
  }

  /// The images of some filters, whose answers are in the plan's output then, and those without any
  /// gradient.
  private func ascend(_ filters: [Int], _ plan: Plan, _ slopes: UnsafePointer<Float>) -> (
    images: [Float], silent: Set<Int>
  ) {
    let (batch, size) = (filters.count, shape.product)
    let places = filters.enumerated().map { b, filter in
      response.place(example: b, of: batch, filter: filter, in: plan.outputShapes[0])
    }
    plan.outputGradients[0].update(repeating: 0, count: plan.outputShapes[0].product)
    for place in places { plan.outputGradients[0][place] = 1 }
    var start = seed.derived("start").generator()
    let noise = (0..<size).map { _ in start.uniform() - 0.5 }
    var images = [Float](filters.flatMap { _ in noise })
    var gradient = images
    var moves = seed.derived("moves").generator()
    var silent: Set<Int> = []
    var heights: [[Float]] = []
    let reach = isImage ? min(2, min(shape[1], shape[2]) / 8) : 0
    for step in 0..<Self.steps {
      let move = (
        Int.random(in: -reach...reach, using: &moves), Int.random(in: -reach...reach, using: &moves)
      )
      copy(images, moved: move, to: plan.inputs[0], batch)
      plan.forward()
      heights.append(places.map { plan.outputs[0][$0] })
      plan.backward()
      copy(slopes, moved: (-move.0, -move.1), to: &gradient, batch)
      let rate = Self.rate * (1 - 0.75 * Float(step) / Float(Self.steps))
      for b in 0..<batch where !silent.contains(b) {
        let range = b * size..<(b + 1) * size
        let mean = range.reduce(Float(0)) { $0 + gradient[$1] * gradient[$1] } / Float(size)
        guard mean.isNormal else {
          silent.insert(b)
          continue
        }
        let factor = rate / mean.squareRoot()
        for i in range { images[i] = (1 - rate * Self.fading) * images[i] + factor * gradient[i] }
      }
      if isImage, shape[1...].allSatisfy({ $0 >= 8 }) { spread(&images) }
      if (step + 1) % Self.window == 0, hasSettled(heights) { break }
    }
    plan.inputs[0].update(from: images, count: images.count)
    plan.forward()
    return (images, silent)
  }

  /// Whether answers have all but stopped to grow.
  private func hasSettled(_ heights: [[Float]]) -> Bool {
    let window = Self.window
    guard heights.count >= 2 * window else { return false }
    func mean(_ steps: ArraySlice<[Float]>, _ b: Int) -> Float {
      steps.reduce(0) { $0 + $1[b] } / Float(window)
    }
    let gains = heights[0].indices.map { b in
      let now = mean(heights.suffix(window), b)
      let before = mean(heights.dropLast(window).suffix(window), b)
      return (now - before) / max(abs(now), .leastNormalMagnitude)
    }
    return gains.reduce(0, +) < Self.leastGain * Float(gains.count)
  }

  /// Images that have moved by some rows and columns, round the edges.
  private func copy(
    _ source: UnsafePointer<Float>, moved move: (rows: Int, columns: Int),
    to target: UnsafeMutablePointer<Float>, _ batch: Int
  ) {
    guard isImage, move != (0, 0) else {
      return target.update(from: source, count: batch * shape.product)
    }
    let (height, width) = (shape[1], shape[2])
    for plane in 0..<batch * shape[0] {
      for y in 0..<height {
        let from = source + (plane * height + (y + move.rows + height) % height) * width
        let to = target + (plane * height + y) * width
        for x in 0..<width { to[x] = from[(x + move.columns + width) % width] }
      }
    }
  }

  /// Pixels come nearer to the mean of their four neighbours.
  private func spread(_ images: inout [Float]) {
    let (height, width) = (shape[1], shape[2])
    let old = images
    for plane in 0..<old.count / (height * width) {
      let first = plane * height * width
      for y in 0..<height {
        let (above, below) = (max(0, y - 1), min(height - 1, y + 1))
        for x in 0..<width {
          let (left, right) = (max(0, x - 1), min(width - 1, x + 1))
          let around =
            old[first + above * width + x] + old[first + below * width + x]
            + old[first + y * width + left] + old[first + y * width + right]
          let i = first + y * width + x
          images[i] += Self.spreading * (around / 4 - old[i])
        }
      }
    }
  }
}

// MARK: Receptive fields
extension ActivationMaximization {
  /// The network for images as large as what the central position sees; `nil` where that is all of the
  /// input, or the network takes no other size.
  private static func cropped(_ graph: Graph, _ response: FilterResponse, _ seed: Seed) throws
    -> Graph?
  {
    guard graph.inputs.count == 1, graph.inputs[0].dimensions.count == 4,
      case let whole = graph.inputShapes(batch: 1)[0],
      let seen = try receptiveField(graph, response, seed), seen != Array(whole[2...])
    else { return nil }
    var result = graph
    for (axis, size) in zip([2, 3], seen) { result.inputs[0].dimensions[axis] = .fixed(size) }
    guard let shapes = try? result.shapes(batch: result.batchSize(1)),
      shapes[response.value.index].product > 0
    else { return nil }
    return result
  }

  /// Rows and columns of the input that the central position depends on, as gradients at noise show;
  /// `nil` where there are none.
  private static func receptiveField(_ graph: Graph, _ response: FilterResponse, _ seed: Seed)
    throws -> [Int]?
  {
    let batch = graph.batchSize(4)
    let input = graph.inputs[0].value
    let plan = try Plan(graph, mode: .gradients, batch: batch, gradientsOf: [input])
    var noise = seed.derived("receptive field").generator()
    for i in 0..<plan.inputShapes[0].product { plan.inputs[0][i] = 2 * noise.uniform() - 1 }
    plan.forward()
    plan.outputGradients[0].update(repeating: 0, count: plan.outputShapes[0].product)
    for b in 0..<batch {
      for k in 0..<response.filters {
        let place = response.place(example: b, of: batch, filter: k, in: plan.outputShapes[0])
        plan.outputGradients[0][place] = noise.uniform() < 0.5 ? -1 : 1
      }
    }
    plan.backward()
    guard let slopes = plan.valueGradients[input] else { return nil }
    let (height, width) = (plan.inputShapes[0][2], plan.inputShapes[0][3])
    var rows = [Float](repeating: 0, count: height)
    var columns = [Float](repeating: 0, count: width)
    for i in 0..<plan.inputShapes[0].product {
      let (y, x) = (i / width % height, i % width)
      rows[y] = max(rows[y], abs(slopes[i]))
      columns[x] = max(columns[x], abs(slopes[i]))
    }
    func extent(_ sizes: [Float]) -> Int? {
      let least = seenShare * (sizes.max() ?? 0)
      guard let first = sizes.firstIndex(where: { $0 > least }),
        let last = sizes.lastIndex(where: { $0 > least })
      else { return nil }
      return last - first + 1
    }
    guard let tall = extent(rows), let wide = extent(columns) else { return nil }
    return [tall, wide]
  }

  /// Of the largest gradient; smaller ones may be what rounding leaves.
  private static let seenShare: Float = 1e-5
}
