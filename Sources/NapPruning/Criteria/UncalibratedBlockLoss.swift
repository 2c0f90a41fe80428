import NapGraph
package import NapKernels

/// The loss of `BlockLoss` as the Kronecker factors give it, which layers cannot be compared by.
package struct UncalibratedBlockLoss: Criterion {
  package static let name = "nap-uncalibrated"
  package static let summary = "nap without calibration"
  package static let evidence: Set<Evidence> = [.factors]
  package static let compensates = true

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.kroneckerLoss(of: unit)
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    (0..<layer.shape.groups).map { layer.remainingLosses(group: $0) }
  }
}
