import NapGraph
package import NapKernels

/// The sum of the sizes of a unit's weights, relative to the mean size of each layer's weights.
///
/// - Source: Li et al. 2017, arXiv:1608.08710.
package struct AbsoluteMagnitude: Criterion {
  package static let name = "l1"
  package static let summary = "sum of the sizes of the channel's weights, by layer mean"

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.sum(over: unit) { layer, group in
      let (weights, mean) = (layer.weights[group], layer.meanSize)
      return { i, j in abs(weights[i, j]) / mean }
    }
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    layer.weights.map { weights in
      var sizes = weights.selecting(columns: Array(0..<layer.shape.inputs))
      for i in sizes.elements.indices { sizes.elements[i] = abs(sizes.elements[i]) }
      return sizes
    }
  }
}
