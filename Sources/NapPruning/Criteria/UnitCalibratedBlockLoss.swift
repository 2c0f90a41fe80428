import NapCurvature
import NapGraph

/// The loss of `BlockLoss`, calibrated by unit: scaled by what the exact Fisher matrix says of the
/// unit's own contribution, where the Kronecker factors say `tr(G W_J A_JJ W_Jᵀ)`.
package struct UnitCalibratedBlockLoss: Criterion {
  package static let name = "nap-unit"
  package static let summary = "nap with every channel calibrated by itself"
  package static let evidence: Set<Evidence> = [.factors, .gradients(.model)]
  package static let scoresWeights = false
  package static let compensates = true

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.readings(of: unit).reduce(0) { sum, reading in
      let (layer, columns) = reading
      let approximate = layer.curvature(ofColumns: columns)
      let exact = layer.gates(columns).meanSquare
      let scale = approximate > 0 && exact > 0 ? exact / approximate : layer.calibration
      return sum + scale * layer.loss(removingColumns: columns) / layer.calibration
    }
  }
}
