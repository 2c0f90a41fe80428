import NapGraph
package import NapKernels

/// The predicted increase of the loss when a unit goes as a whole and its readers make up for it.
///
/// Calibrated unit by unit: at first it is the exact Fisher information of the compensated removal, all
/// readers and positions together; as others go, it changes as the Kronecker factors say. Where that was
/// not measured, and for single weights, layers are calibrated as wholes.
///
/// - Units: nats per example.
package struct BlockLoss: Criterion {
  package static let name = "nap"
  package static let summary =
    "second-order loss of the whole channel, compensated and calibrated (default)"
  package static let evidence: Set<Evidence> = [.factors, .removals]
  package static let compensates = true
  package static let isLoss = true

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    guard let scale = model.calibration(of: unit) else {
      return LayerCalibratedBlockLoss().score(of: unit, in: model)
    }
    return scale * model.kroneckerLoss(of: unit)
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    LayerCalibratedBlockLoss().weightScores(in: layer)
  }
}
