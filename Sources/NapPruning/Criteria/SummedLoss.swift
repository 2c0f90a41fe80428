import NapGraph
package import NapKernels

/// The sum of the losses of removing a unit's weights one by one.
///
/// - Source: Zeng & Urtasun's NAP, arXiv:2101.06608, as published: neither compensated nor calibrated.
package struct SummedLoss: Criterion {
  package static let name = "nap-sum"
  package static let summary =
    "sum of the second-order losses of the channel's single weights (the paper)"
  package static let needsCurvature = true
  package static let compensates = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    var sum = 0.0
    for (layer, columns) in model.readings(of: unit) {
      sum += layer.summedLoss(group: 0, rows: Array(0..<layer.shape.outputs), columns: columns)
    }
    for (layer, rows) in model.computings(of: unit) {
      for (group, row) in rows {
        sum += layer.summedLoss(group: group, rows: [row], columns: Array(0..<layer.shape.inputs))
      }
    }
    return sum
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    (0..<layer.shape.groups).map { layer.singleLosses(group: $0) }
  }
}
