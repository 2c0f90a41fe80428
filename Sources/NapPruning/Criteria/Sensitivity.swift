import NapCurvature
import NapGraph
import NapKernels

/// Connection sensitivity: `Σ |W_ij E[∂L/∂W_ij]|`.
///
/// - Source: Lee, Ajanthan & Torr 2019 (SNIP), arXiv:1810.02340.
package struct Sensitivity: WeightwiseCriterion {
  package static let name = "snip"
  package static let summary = "sum of what single weights change the loss by, to first order"
  package static let evidence: Set<Evidence> = [.gradients(.labels)]

  package init() {}

  package func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double {
    let weights = layer.weights[group]
    guard let means = layer.gradients?.means[group] else { return { _, _ in 0 } }
    return { i, j in abs(weights[i, j] * means[i, j]) }
  }
}
