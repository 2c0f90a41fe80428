import NapEngine
package import NapGraph
import NapTensor

/// Where the activations of a layer's filters are: in what its first node computes, after a batch
/// normalization that follows at once, before all else.
package struct FilterResponse: Sendable {
  package let value: ValueID
  /// Of all groups, one group after the other.
  package let filters: Int
  let featureAxis: Int
  /// The axis that counts examples, or positions of one example after the other.
  let exampleAxis: Int

  /// `nil` where examples cannot be told apart.
  ///
  /// - Throws: `GraphError` when shapes do not fit.
  package init?(of layer: AffineLayer, in graph: Graph) throws(GraphError) {
    let readers = graph.consumers
    let outputs = Set(graph.outputs.map(\.value))
    var value = layer.node.outputs[0]
    if readers[value.index].count == 1, !outputs.contains(value) {
      let next = graph.nodes[readers[value.index][0]]
      let isAlone = next.inputs.dropFirst().allSatisfy { graph.constants[$0] != nil }
      if next.op is any FoldableNormalization, next.inputs[0] == value, isAlone {
        value = next.outputs[0]
      }
    }
    let sizes = graph.tellingBatches
    let shapes = try sizes.map { size throws(GraphError) in
      try graph.shapes(batch: size)[value.index]
    }
    let features = layer.op.featureAxis(ofRank: shapes[0].count)
    let others = shapes[0].indices.filter { $0 != features }
    let counting = others.first { axis in zip(sizes, shapes).allSatisfy { $1[axis] == $0 } }
    // Exporters write tokens as rows of one matrix, all of a batch together.
    let rows = others.first { axis in
      axis == 0
        && zip(sizes, shapes).allSatisfy {
          $1[0] % $0 == 0 && $1[0] / $0 == shapes[0][0] / sizes[0]
        }
    }
    guard let axis = counting ?? rows else { return nil }
    self.value = value
    (featureAxis, exampleAxis) = (features, axis)
    filters = shapes[0][features]
  }

  /// Where a dense value of some shape holds the activation of a filter at the central position.
  func place(example: Int, of batch: Int, filter: Int, in shape: [Int]) -> Int {
    shape.indices.reduce(0) { offset, axis in
      let index =
        switch axis {
        case featureAxis: filter
        case exampleAxis: example * (shape[axis] / batch) + shape[axis] / batch / 2
        default: shape[axis] / 2
        }
      return offset * shape[axis] + index
    }
  }
}
