import NapGraph
package import NapKernels
import NapTensor

/// A random number: what any other criterion must beat.
package struct Random: Criterion {
  package static let name = "random"
  package static let summary = "a random number (for reference)"

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    let first = unit.places.min { ($0.key.value, $0.key.axis) < ($1.key.value, $1.key.axis) }
    guard let (place, indices) = first else { return 0 }
    var generator = model.seed.derived(place.value.index).derived(place.axis)
      .derived(indices.first ?? 0).generator()
    return Double(generator.uniform())
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    var generator = layer.seed.derived(layer.node).generator()
    return layer.weights.map { weights in
      var scores = Matrix(rows: weights.rows, columns: layer.shape.inputs)
      for i in 0..<scores.rows {
        for j in 0..<scores.columns {
          let number = Double(generator.uniform())
          scores[i, j] = weights[i, j] == 0 ? 0 : number
        }
      }
      return scores
    }
  }
}
