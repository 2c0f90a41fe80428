import NapCurvature
import NapGraph
import NapKernels

/// Optimal Brain Damage on the diagonal of the Fisher matrix: `½ W_ij² E[(∂L/∂W_ij)²]`.
///
/// - Source: LeCun, Denker & Solla 1989; Theis et al. 2018, arXiv:1801.05787.
package struct DiagonalDamage: WeightwiseCriterion {
  package static let name = "obd"
  package static let summary =
    "second-order loss without compensation, from the diagonal Fisher matrix"
  package static let evidence: Set<Evidence> = [.gradients(.model)]

  package init() {}

  package func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double {
    let weights = layer.weights[group]
    guard let squares = layer.gradients?.squares[group] else { return { _, _ in 0 } }
    return { i, j in 0.5 * weights[i, j] * weights[i, j] * squares[i, j] }
  }
}
