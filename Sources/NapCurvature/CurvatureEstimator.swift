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

/// Collects Kronecker factors of all affine nodes of a classifier, batch by batch.
///
/// Normalizations use their running statistics, so that the examples of a batch are independent.
package final class CurvatureEstimator {
  package let graph: Graph
  package let kind: CurvatureKind
  private let plan: Plan
  private var accumulators: [Int: FactorAccumulator] = [:]
  private let workspaces: [FactorAccumulator.Workspace]
  private var generator: SplitMix64
  private let classes: Int

  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, kind: CurvatureKind = .model,
    scalar: Scalar = .float32,
    batch: Int, threads: Int = ProcessInfo.processInfo.activeProcessorCount, seed: Seed
  ) throws {
    self.graph = graph
    self.kind = kind
    plan = try Plan(
      graph, parameters: parameters ?? Parameters(graph), mode: .curvature, scalar: scalar,
      batch: batch)
    classes = plan.outputShapes[0].last ?? 1
    generator = seed.derived("curvature").generator()
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    var affine: [AffineShape] = []
    for (index, node) in graph.nodes.enumerated() {
      guard let op = node.op as? any AffineOperator, graph.constants[node.inputs[1]] != nil,
        let shape = op.affineShape(node.inputs.map { shapes[$0.index] })
      else { continue }
      affine.append(shape)
      accumulators[index] = FactorAccumulator(op, shape, inputShape: shapes[node.inputs[0].index])
    }
    workspaces = (0..<max(1, threads)).map { _ in FactorAccumulator.Workspace(for: affine) }
    plan.tap = { [unowned self] tap in
      self.accumulators[tap.node]?.add(tap, workspaces: self.workspaces)
    }
  }

  package var inputShape: [Int] { plan.inputShapes[0] }

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
  ///
  /// For the model's curvature: `v = √p ∘ e - p (√p · e)` with random signs `e`, whose second moment
  /// is exactly `diag(p) - p pᵀ`, the curvature of cross-entropy in the logits.
  private func writeCotangents(_ labels: [Int]) {
    let (logits, gradient) = (plan.outputs[0], plan.outputGradients[0])
    let rows = plan.outputShapes[0].product / max(1, classes)
    var p = [Float](repeating: 0, count: classes)
    for n in 0..<rows {
      let (z, g) = (logits + n * classes, gradient + n * classes)
      softmax(z, classes, temperature: 1, into: &p)
      switch kind {
      case .labels:
        for k in 0..<classes { g[k] = p[k] - (labels[n] == k ? 1 : 0) }
      case .model:
        var mean: Float = 0
        for k in 0..<classes {
          let signed = generator.next() & 1 == 0 ? p[k].squareRoot() : -p[k].squareRoot()
          g[k] = signed
          mean += signed
        }
        for k in 0..<classes { g[k] -= p[k] * mean }
      }
    }
  }

  /// The factors so far, by node index.
  package var factors: [Int: KroneckerFactors] { accumulators.mapValues(\.factors) }
}
