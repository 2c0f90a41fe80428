import NapGraph

/// The distance of a unit's filters to the others of their layer, by layer mean: what is near the
/// geometric median can be replaced by the others.
///
/// - Source: He et al. 2019 (FPGM), arXiv:1811.00250.
package struct GeometricMedian: Criterion {
  package static let name = "fpgm"
  package static let summary = "distance of the channel's filters to the others of their layer"
  package static let scoresWeights = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.computings(of: unit).reduce(0) { sum, computing in
      computing.rows.reduce(sum) { sum, row in
        sum + computing.layer.relativeFilterDistances[row.group][row.row]
      }
    }
  }
}
