import NapCurvature
import NapGraph
import NapPruning
import NapTensor

extension PruningModel {
  /// A model with what a criterion asks for, collected from one batch without labels.
  convenience init(_ graph: Graph, knowing evidence: Set<Evidence>, from x: Tensor) throws {
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
      case .removals: break
      }
    }
    try self.init(graph, factors: factors, gradients: gradients)
    guard evidence.contains(.removals) else { return }
    let collector = try RemovalCollector(
      graph, directions: removalDirections(), batch: x.shape[0], seed: Seed(1))
    collector.add(x.floats)
    calibrate(collector.takeDerivatives())
  }
}
