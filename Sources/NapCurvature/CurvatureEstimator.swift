import Foundation
package import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// Which gradients the curvature is the second moment of.
package enum CurvatureKind: Sendable, Hashable {
  /// Of a random direction with the covariance of the model's own predictions: no labels needed.
  case model
  /// Of the given labels: the empirical Fisher.
  case labels
}

/// Collects Kronecker factors of all affine nodes of a network, batch by batch.
///
/// Outputs `[N, K]` are logits of a distribution over classes; others are means of normal
/// distributions whose variance is that of the output itself.
/// Normalizations use their running statistics, so that the examples of a batch are independent.
package final class CurvatureEstimator {
  package let graph: Graph
  package let kind: CurvatureKind
  /// Spent on the factors so far, not counting the passes through the network.
  package private(set) var factorSeconds = 0.0
  private let plan: Plan
  private var accumulators: [Int: FactorAccumulator] = [:]
  private let workspaces: [FactorAccumulator.Workspace]
  private var generator: SplitMix64

  /// - Parameters:
  ///   - largestFactor: inputs that `A` is kept in one block for; more are split.
  ///   - positions: of an image that `A` is summed over, about; a quarter of the pixels of small
  ///     images changes `A` by less than other images would.
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, kind: CurvatureKind = .model,
    scalar: Scalar = .float32, batch: Int, largestFactor: Int = .max,
    positions: Int = 256, threads: Int = ProcessInfo.processInfo.activeProcessorCount, seed: Seed
  ) throws {
    self.graph = graph
    self.kind = kind
    plan = try Plan(
      graph, parameters: parameters ?? Parameters(graph), mode: .curvature, scalar: scalar,
      batch: batch)
    generator = seed.derived("curvature").generator()
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    var affine: [AffineShape] = []
    for (index, node) in graph.nodes.enumerated() {
      guard let op = node.op as? any AffineOperator, graph.constants[node.inputs[1]] != nil,
        let shape = op.affineShape(node.inputs.map { shapes[$0.index] })
      else { continue }
      affine.append(shape)
      accumulators[index] = FactorAccumulator(
        op, shape, inputShape: shapes[node.inputs[0].index], largestFactor: largestFactor,
        positionsAtMost: positions)
    }
    workspaces = (0..<max(1, threads)).map { _ in
      FactorAccumulator.Workspace(for: affine, largestFactor: largestFactor)
    }
    let clock = ContinuousClock()
    plan.tap = { [unowned self] tap in
      let start = clock.now
      self.accumulators[tap.node]?.add(tap, workspaces: self.workspaces)
      self.factorSeconds += (clock.now - start) / .seconds(1)
    }
  }

  package var inputShape: [Int] { plan.inputShapes[0] }
  package var arenaBytes: Int { plan.arenaBytes }

  /// Adds a batch of examples.
  ///
  /// - Parameters:
  ///   - inputs: dense, of shape `inputShape`.
  ///   - labels: one per example; used by `.labels` only.
  package func add(_ inputs: UnsafePointer<Float>, labels: [Int] = []) {
    plan.inputs[0].update(from: inputs, count: inputShape.product)
    plan.forward()
    writeCotangents(labels)
    // One thread per example group is faster than many threads per small product.
    let threads = setLinearAlgebraThreads(1)
    plan.backward()
    setLinearAlgebraThreads(threads)
  }

  /// The gradient of every example's own loss, not divided by the batch size.
  private func writeCotangents(_ labels: [Int]) {
    for (n, shape) in plan.outputShapes.enumerated() {
      if areLogits(shape) {
        writeClassCotangents(plan.outputs[n], plan.outputGradients[n], shape, labels)
      } else {
        writeMeanCotangents(plan.outputs[n], plan.outputGradients[n], shape)
      }
    }
  }

  /// For the model's curvature: `v = √p ∘ e - p (√p · e)` with random signs `e`, whose second moment
  /// is exactly `diag(p) - p pᵀ`, the curvature of cross-entropy in the logits.
  private func writeClassCotangents(
    _ logits: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, _ shape: [Int],
    _ labels: [Int]
  ) {
    let classes = shape[1]
    var p = [Float](repeating: 0, count: classes)
    for n in 0..<shape[0] {
      let (z, g) = (logits + n * classes, gradient + n * classes)
      softmax(z, classes, temperature: 1, into: &p)
      switch kind {
      case .labels:
        for k in 0..<classes { g[k] = p[k] - (labels[n] == k ? 1 : 0) }
      case .model:
        var mean: Float = 0
        for k in 0..<classes {
          let signed = randomSign() * p[k].squareRoot()
          g[k] = signed
          mean += signed
        }
        for k in 0..<classes { g[k] -= p[k] * mean }
      }
    }
  }

  /// Random signs over the deviation of the example's output: their second moment is the curvature of
  /// the squared error in units of the variance.
  private func writeMeanCotangents(
    _ output: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, _ shape: [Int]
  ) {
    let size = shape.dropFirst().product
    for n in 0..<shape[0] {
      let (y, g) = (output + n * size, gradient + n * size)
      var (mean, variance): (Float, Float) = (0, 0)
      for i in 0..<size { mean += y[i] / Float(size) }
      for i in 0..<size { variance += (y[i] - mean) * (y[i] - mean) }
      let scale = 1 / max(variance, 1e-12).squareRoot()
      for i in 0..<size { g[i] = randomSign() * scale }
    }
  }

  private func randomSign() -> Float { generator.next() & 1 == 0 ? 1 : -1 }

  /// Hands over the factors, by node index; the estimator is spent then.
  package func takeFactors() -> [Int: KroneckerFactors] {
    defer { accumulators = [:] }
    return accumulators.mapValues { $0.takeFactors() }
  }
}
