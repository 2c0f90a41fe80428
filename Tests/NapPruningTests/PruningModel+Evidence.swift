import NapCurvature
import NapGraph
import NapPruning
import NapTensor

extension PruningModel {
  /// A model with what a criterion asks for, collected from one batch without labels.
  convenience init(
    _ graph: Graph, knowing evidence: Set<Evidence>, from x: Tensor, damping: Double = 1e-3
  ) throws {
    var factors: [Int: KroneckerFactors] = [:]
    var gradients: [Int: WeightGradients] = [:]
    for kind in evidence {
      switch kind {
      case .factors:
        let estimator = try CurvatureEstimator(graph, batch: x.shape[0], seed: Seed(1))
        estimator.add(x.floats)
        factors = estimator.takeFactors()
      case .gradients(let kind):
        let collector = try GradientCollector(graph, kind: kind, batch: x.shape[0], seed: Seed(1))
        collector.add(x.floats)
        gradients = collector.takeGradients()
      case .removals, .functions: break
      }
    }
    try self.init(graph, factors: factors, gradients: gradients, damping: damping)
    for case .functions(let similarity) in evidence {
      let layers = graph.affineLayers(shapes: try graph.shapes(batch: x.shape[0]))
        .filter { computingLayers.contains($0.index) }
      var responses: [Int: FilterResponse] = [:]
      for layer in layers { responses[layer.index] = try FilterResponse(of: layer, in: graph) }
      if similarity == .correlation {
        let correlations = try ActivationCorrelations(graph, of: responses, batch: x.shape[0])
        x.floats.withUnsafeBufferPointer { correlations.add([$0.baseAddress].compactMap { $0 }) }
        compare(correlations.distances())
      } else {
        compare(
          try responses.mapValues {
            try ActivationMaximization($0, of: graph, seed: Seed(1)).run().distances(by: similarity)
          })
      }
    }
    guard evidence.contains(.removals) else { return }
    let collector = try RemovalCollector(
      graph, directions: removalDirections(), batch: x.shape[0], seed: Seed(1))
    collector.add(x.floats)
    calibrate(collector.takeDerivatives())
  }
}
