import NapCurvature
import NapGraph

/// The loss of closing a unit's gate, from the exact Fisher matrix: `½ E[(Σ_t x_t ∂L/∂x_t)²]`, with
/// `x` the unit's activation as its readers see it.
///
/// - Source: Molchanov et al. 2019, arXiv:1906.10771; Theis et al. 2018, arXiv:1801.05787.
package struct GateLoss: Criterion {
  package static let name = "gate"
  package static let summary = "exact second-order loss of closing the channel, each by itself"
  package static let evidence: Set<Evidence> = [.gradients(.model)]
  package static let scoresWeights = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    0.5 * model.gates(of: unit).meanSquare
  }
}
