import NapGraph
package import NapKernels

/// The squared norm of a unit's weights, relative to the mean square of each layer's weights.
///
/// Without that normalization, layers with small weights would be emptied first.
package struct Magnitude: Criterion {
  package static let name = "magnitude"
  package static let summary = "squared norm of the channel's weights, by layer mean"

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.sum(over: unit) { layer, group in
      let (weights, mean) = (layer.weights[group], layer.meanSquare)
      return { i, j in weights[i, j] * weights[i, j] / mean }
    }
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
