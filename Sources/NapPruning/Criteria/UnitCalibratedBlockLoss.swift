import NapGraph

/// The loss of `BlockLoss`, calibrated unit by unit: at first it is the exact Fisher information of the
/// compensated removal, all readers and positions together; as others go, it changes as the quadratic
/// model says.
package struct UnitCalibratedBlockLoss: Criterion {
  package static let name = "nap-unit"
  package static let summary = "nap with every channel calibrated by itself"
  package static let evidence: Set<Evidence> = [.factors, .removals]
  package static let scoresWeights = false
  package static let compensates = true

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    guard let scale = model.calibration(of: unit) else {
      return BlockLoss().score(of: unit, in: model)
    }
    return scale * model.kroneckerLoss(of: unit)
  }
}
