import NapGraph
import NapKernels

/// The increase of the loss when nothing makes up for a weight: `½ W_ij² G_ii A_jj`.
///
/// - Source: LeCun, Denker & Solla 1989, with the curvature of Martens & Grosse 2015.
package struct KroneckerDamage: WeightwiseCriterion {
  package static let name = "kfac-obd"
  package static let summary = "second-order loss without compensation, from Kronecker factors"
  package static let evidence: Set<Evidence> = [.factors]

  package init() {}

  package func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double {
    let weights = layer.weights[group]
    let (inputs, outputs) = (layer.inputMoments[group], layer.outputFactors[group])
    return { i, j in 0.5 * weights[i, j] * weights[i, j] * outputs[i, i] * inputs[j] }
  }
}
