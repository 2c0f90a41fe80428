import NapCurvature
import NapGraph
package import NapKernels

/// What the loss changes by when a unit goes, to first order: `|Σ W_ij E[∂L/∂W_ij]|` over what its
/// readers read it with.
///
/// - Source: Molchanov et al. 2017, arXiv:1611.06440.
package struct Taylor: Criterion {
  package static let name = "taylor"
  package static let summary = "what the loss changes by, to first order"
  package static let evidence: Set<Evidence> = [.gradients(.labels)]

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    let gates = model.gates(of: unit)
    return abs(gates.reduce(0, +)) / Double(max(1, gates.count))
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    Sensitivity().weightScores(in: layer)
  }
}
