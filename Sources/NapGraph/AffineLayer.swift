package import NapTensor

/// A node that multiplies its input by a weight of the network's own.
package struct AffineLayer: Sendable {
  /// Index of the node in the graph.
  package let index: Int
  package let node: Node
  package let op: any AffineOperator
  package let weight: Tensor
  package let shape: AffineShape
}

extension Graph {
  /// The affine nodes with constant weights, in order.
  ///
  /// - Parameter shapes: of all values, see `shapes(inputs:)`.
  package func affineLayers(shapes: [[Int]]) -> [AffineLayer] {
    nodes.enumerated().compactMap { index, node in
      guard let op = node.op as? any AffineOperator, let weight = constants[node.inputs[1]],
        let shape = op.affineShape(node.inputs.map { shapes[$0.index] })
      else { return nil }
      return AffineLayer(index: index, node: node, op: op, weight: weight, shape: shape)
    }
  }
}
