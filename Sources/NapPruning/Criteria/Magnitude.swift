import NapGraph
package import NapKernels

/// The squared norm of a unit's weights, relative to the mean square of each layer's weights.
///
/// Without that normalization, layers with small weights would be emptied first.
package struct Magnitude: Criterion {
  package static let name = "magnitude"
  package static let summary =
    "squared norm of the channel's weights, by layer mean (for reference)"
  package static let needsCurvature = false
  package static let compensates = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    var sum = 0.0
    for (layer, columns) in model.readings(of: unit) {
      let norm = layer.squaredNorm(group: 0, rows: Array(0..<layer.shape.outputs), columns: columns)
      sum += norm / meanSquare(layer)
    }
    for (layer, rows) in model.computings(of: unit) {
      for (group, row) in rows {
        let norm = layer.squaredNorm(
          group: group, rows: [row], columns: Array(0..<layer.shape.inputs))
        sum += norm / meanSquare(layer)
      }
    }
    return sum
  }

  private func meanSquare(_ layer: LayerModel) -> Double {
    let all = layer.weights.reduce(0) { $0 + $1.dot($1) }
    return max(all / Double(layer.shape.groups * layer.shape.outputs * layer.shape.inputs), 1e-30)
  }

  /// By plain magnitude, as is the custom.
  package func weightScores(in layer: LayerModel) -> [Matrix] {
    layer.weights.map { matrix in
      var squares = matrix.selecting(columns: Array(0..<layer.shape.inputs))
      for i in squares.elements.indices { squares.elements[i] *= squares.elements[i] }
      return squares
    }
  }
}
