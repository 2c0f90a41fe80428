package import NapTensor

/// A weight of the network's own and the nodes that multiply their inputs by it.
///
/// Nodes that read one weight alike, such as those of a head that serves several levels, are one layer:
/// what changes the weight changes it for all of them.
package struct AffineLayer: Sendable {
  /// One of the nodes.
  package struct Reader: Sendable {
    /// Index of the node in the graph.
    package let index: Int
    package let node: Node
    package let op: any AffineOperator
    /// The shape of its input, examples first: where rows of a matrix are positions of examples,
    /// `[examples, positions, in]`.
    package let inputShape: [Int]
    package let shape: AffineShape
  }

  /// In order, at least one.
  package let readers: [Reader]
  package let weight: Tensor
  /// Whether somebody else reads the weight too, in another way.
  package let isShared: Bool

  /// Index of the first node, which stands for the layer.
  package var index: Int { readers[0].index }
  package var node: Node { readers[0].node }
  /// What the weight's matrices are to all its readers.
  package var op: any AffineOperator { readers[0].op }
  /// With the positions of all readers.
  package var shape: AffineShape {
    var result = readers[0].shape
    result.positions = readers.reduce(0) { $0 + $1.shape.positions }
    return result
  }

  /// Places in a kernel that a feature is read at.
  package var positionsInKernel: Int { weight.shape.dropFirst(2).product }
  /// Of one group; 0 where there are none.
  package var inputFeatures: Int { shape.inputs / max(1, positionsInKernel) }

  /// Whether all readers add the same bias, or none.
  package var biasesAgree: Bool {
    readers.allSatisfy { reader in
      reader.node.inputs.dropFirst(2).first == node.inputs.dropFirst(2).first
        && reader.op.biasFactor == op.biasFactor
    }
  }
}

extension Graph {
  /// The affine nodes with constant weights, in order of the first that reads each.
  ///
  /// - Parameter shapes: of all values, see `shapes(inputs:)`.
  package func affineLayers(shapes: [[Int]]) -> [AffineLayer] {
    let uses = constantUses
    var order: [Reading] = []
    var readers: [Reading: [AffineLayer.Reader]] = [:]
    for (index, node) in nodes.enumerated() {
      guard let (op, form) = affineForm(of: node, shapes) else { continue }
      var shape = form
      var inputShape = shapes[node.inputs[0].index]
      if op.patchesArePositionMajor { splitRows(of: &inputShape, &shape, shapes) }
      let reading = Reading(
        weight: node.inputs[1], groups: shape.groups,
        axes: [op.weightOutputAxis, op.weightInputAxis],
        factor: op.weightFactor, examples: inputShape.first ?? 1)
      if readers[reading] == nil { order.append(reading) }
      readers[reading, default: []].append(
        .init(index: index, node: node, op: op, inputShape: inputShape, shape: shape))
    }
    return order.compactMap { reading in
      guard let weight = constants[reading.weight], let readers = readers[reading] else {
        return nil
      }
      return AffineLayer(
        readers: readers, weight: weight, isShared: uses[reading.weight] != readers.count)
    }
  }

  /// What a node is that multiplies its input by a weight of the network's own; `nil` for all others,
  /// such as products with vectors or with stacks of matrices.
  ///
  /// - Parameter shapes: of all values.
  package func affineForm(of node: Node, _ shapes: [[Int]]) -> (
    op: any AffineOperator, shape: AffineShape
  )? {
    guard let op = node.op as? any AffineOperator, constants[node.inputs[1]] != nil,
      let shape = op.affineShape(node.inputs.map { shapes[$0.index] })
    else { return nil }
    return (op, shape)
  }

  /// How often nodes read each constant; being an output counts too.
  package var constantUses: [ValueID: Int] {
    var uses: [ValueID: Int] = [:]
    for value in nodes.flatMap(\.inputs) + outputs.map(\.value) where constants[value] != nil {
      uses[value, default: 0] += 1
    }
    return uses
  }

  /// What nodes have in common that read a weight alike.
  private struct Reading: Hashable {
    var weight: ValueID
    var groups: Int
    var axes: [Int]
    var factor: Float
    var examples: Int
  }

  /// Exporters write tokens as rows of one matrix, all of a batch together.
  private func splitRows(of inputShape: inout [Int], _ shape: inout AffineShape, _ shapes: [[Int]])
  {
    guard let batch = inputs.first.flatMap({ shapes[$0.value.index].first }), batch > 0,
      let rows = inputShape.first, rows > batch, rows % batch == 0, let width = inputShape.last
    else { return }
    shape.positions *= rows / batch
    inputShape = [batch, shape.positions, width]
  }
}
