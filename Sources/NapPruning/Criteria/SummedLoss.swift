import NapGraph
import NapKernels

/// The sum of the losses of removing a unit's weights one by one: `Σ W_ij² / (2 [G⁻¹]_ii [A⁻¹]_jj)`.
///
/// - Source: Zeng & Urtasun's NAP, arXiv:2101.06608, as published: neither compensated nor calibrated.
package struct SummedLoss: WeightwiseCriterion {
  package static let name = "nap-sum"
  package static let summary =
    "sum of the second-order losses of the channel's single weights (the paper)"
  package static let evidence: Set<Evidence> = [.factors]

  package init() {}

  package func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double {
    let weights = layer.weights[group]
    let (inputs, outputs) = (layer.inputInverses[group].diagonal, layer.outputInverses[group])
    return { i, j in
      let w = weights[i, j]
      return inputs[j] > 0 ? w * w / (2 * outputs[i, i] * inputs[j]) : 0
    }
  }
}
