import Foundation
package import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
package import NapTensor

/// Collects Kronecker factors of a network's affine layers, batch by batch.
///
/// Normalizations use their running statistics, so that the examples of a batch are independent.
package final class CurvatureEstimator: ExampleCollector {
  package let graph: Graph
  /// Spent on the factors so far, not counting the passes through the network.
  package private(set) var factorSeconds = 0.0
  private let pass: CurvaturePass
  private var accumulators: [Int: FactorAccumulator] = [:]
  /// By node that reads a layer's weight.
  private var layerOfNode: [Int: Int] = [:]
  private let workspaces: [FactorAccumulator.Workspace]

  /// - Parameters:
  ///   - outputs: what they are; guessed from their shapes where it is `nil`.
  ///   - nodes: whose factors are wanted, by the first of a layer; `nil` for all.
  ///   - largestFactor: inputs that `A` is kept in one block for; more are split.
  ///   - positions: of an image that `A` is summed over, about; a quarter of the pixels of small
  ///     images changes `A` by less than other images would.
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, kind: CurvatureKind = .model,
    outputs: Outputs? = nil, scalar: Scalar = .float32, batch: Int, nodes: Set<Int>? = nil,
    largestFactor: Int = .max, positions: Int = 256,
    threads: Int = ProcessInfo.processInfo.activeProcessorCount, seed: Seed
  ) throws {
    self.graph = graph
    let plan = try Plan(
      graph, parameters: parameters, mode: .curvature, scalar: scalar, batch: batch)
    pass = try CurvaturePass(plan, kind: kind, outputs: outputs, seed: seed)
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    let layers = graph.affineLayers(shapes: shapes).filter { nodes?.contains($0.index) ?? true }
    for layer in layers {
      accumulators[layer.index] = FactorAccumulator(
        layer, in: graph, largestFactor: largestFactor, positionsAtMost: positions)
      for reader in layer.readers { layerOfNode[reader.index] = layer.index }
    }
    workspaces = (0..<max(1, threads)).map { _ in
      FactorAccumulator.Workspace(
        for: layers.flatMap { $0.readers.map(\.shape) }, largestFactor: largestFactor)
    }
    let clock = ContinuousClock()
    plan.tap = { [unowned self] tap in
      let start = clock.now
      if let layer = self.layerOfNode[tap.node] {
        self.accumulators[layer]?.add(tap, workspaces: self.workspaces)
      }
      self.factorSeconds += (clock.now - start) / .seconds(1)
    }
  }

  package var inputShape: [Int] { pass.plan.inputShapes[0] }
  package var arenaBytes: Int { pass.plan.arenaBytes }

  /// Adds a batch of examples.
  ///
  /// - Parameters:
  ///   - inputs: dense, `[batch, …]` each, one for every input.
  ///   - targets: likewise, in the order of the data set; used by `.labels` only.
  ///   - weights: what the gradients of the examples count, where they were not drawn evenly. Inputs
  ///     count as they come: `E[w g gᵀ] ⊗ E[a aᵀ]` is nearer to `E[w (g gᵀ) ⊗ (a aᵀ)]` of examples
  ///     that were drawn by the size of their gradients.
  package func add(
    _ inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>] = [], weights: [Double]
  ) {
    pass.run(inputs, targets: targets, weights: weights)
    for accumulator in accumulators.values { accumulator.finishBatch() }
  }

  /// Hands over the factors, by the first node of every layer; the estimator is spent then.
  package func takeFactors() -> [Int: KroneckerFactors] {
    defer { accumulators = [:] }
    return accumulators.mapValues { $0.takeFactors() }
  }
}
