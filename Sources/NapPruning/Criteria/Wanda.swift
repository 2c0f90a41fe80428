import NapGraph
import NapKernels

/// The size of a weight times that of its input: `|W_ij| √A_jj`.
///
/// - Source: Sun et al. 2023, arXiv:2306.11695.
package struct Wanda: WeightwiseCriterion {
  package static let name = "wanda"
  package static let summary = "size of the weights by the size of their inputs"
  package static let evidence: Set<Evidence> = [.factors]

  package init() {}

  package func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double {
    let weights = layer.weights[group]
    let inputs = layer.inputMoments[group].map { $0.squareRoot() }
    return { i, j in abs(weights[i, j]) * inputs[j] }
  }
}
