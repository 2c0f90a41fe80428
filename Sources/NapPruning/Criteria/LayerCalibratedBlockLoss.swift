import NapGraph
package import NapKernels

/// The predicted increase of the loss when a unit goes as a whole and its readers make up for it, with
/// the Kronecker factors of each layer scaled to the curvature along its own weights.
///
/// - Units: nats per example.
package struct LayerCalibratedBlockLoss: Criterion {
  package static let name = "nap-layer"
  package static let summary = "nap with every layer calibrated as a whole, not every channel"
  package static let evidence: Set<Evidence> = [.factors]
  package static let compensates = true

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    let readings = model.readings(of: unit)
    if !readings.isEmpty {
      return readings.reduce(0) { $0 + $1.layer.loss(removingColumns: $1.columns, group: $1.group) }
    }
    return model.computings(of: unit).reduce(0) { sum, computing in
      computing.rows.reduce(sum) { $0 + computing.layer.loss(removingRow: $1.row, group: $1.group) }
    }
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    (0..<layer.shape.groups).map { group in
      var losses = layer.remainingLosses(group: group)
      for i in losses.elements.indices { losses.elements[i] *= layer.calibration }
      return losses
    }
  }
}
