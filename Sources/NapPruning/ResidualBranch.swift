package import NapGraph
import NapTensor

/// What is added to something that goes around it, such as the convolutions of a residual block or the attention
/// of a transformer's layer: the network is still one without it.
///
/// How it ends: in an affine layer, and behind that at most in what has no other input. Without that layer's
/// weights, the branch says the same of every example, and a constant stands for it.
package struct ResidualBranch: Sendable {
  /// Index of the node that adds it.
  package let sum: Int
  /// What is added.
  package let value: ValueID
  /// Indices of all nodes that only the sum needs, in order.
  package let nodes: [Int]
  /// The last affine layer and what follows it, in order.
  package let tail: [Int]
  /// Constants that only its nodes read.
  package let constants: Set<ValueID>
}

extension Graph {
  /// All residual branches, in order.
  ///
  /// - Parameter shapes: of all values.
  package func residualBranches(_ shapes: [[Int]]) -> [ResidualBranch] {
    let (producers, consumers, readings) = (producers, consumers, readings)
    let inputs = Set(inputs.map(\.value))
    return nodes.indices.flatMap { sum -> [ResidualBranch] in
      let node = nodes[sum]
      guard node.op is any ResidualOperator, node.inputs.count == 2,
        node.inputs[0] != node.inputs[1],
        node.inputs.allSatisfy({
          constants[$0] == nil && shapes[$0.index] == shapes[node.outputs[0].index]
        })
      else { return [] }
      return (0..<2).compactMap { side in
        let value = node.inputs[side]
        guard let tail = tail(of: value, shapes, producers) else { return nil }
        let own = nodes(onlyFor: value, readBy: sum, producers: producers, readings: readings)
        let ownSet = Set(own)
        let read = Set(own.flatMap { nodes[$0].inputs })
        guard ownSet.isSuperset(of: tail),
          own.allSatisfy({ !frozenNodes.contains(nodes[$0].name) }),
          // A network still reads all of its inputs.
          read.intersection(inputs).allSatisfy({ !ownSet.isSuperset(of: consumers[$0.index]) })
        else { return nil }
        return ResidualBranch(
          sum: sum, value: value, nodes: own, tail: tail,
          constants: read.filter {
            constants[$0] != nil && ownSet.isSuperset(of: consumers[$0.index])
          })
      }
    }
  }

  /// An affine node, and what a value is computed from its output by, if by nothing else.
  private func tail(of value: ValueID, _ shapes: [[Int]], _ producers: [Int?]) -> [Int]? {
    var (value, found) = (value, [Int]())
    while let index = producers[value.index] {
      let node = nodes[index]
      found.append(index)
      if affineForm(of: node, shapes) != nil { return found.reversed() }
      let read = node.inputs.filter { constants[$0] == nil }
      guard read.count == 1, node.outputs.count == 1 else { return nil }
      value = read[0]
    }
    return nil
  }

  /// The network with constants in the place of branches whose last layers' weights are all zero.
  ///
  /// Where sizes are open and the constant is not the same at all positions, the branch stays.
  package func replacing(_ branches: [ResidualBranch]) throws(GraphError) -> Graph {
    guard !branches.isEmpty else { return self }
    var result = self
    let shapes = try shapes(batch: 1)
    for branch in branches {
      guard let constant = constant(of: branch, shapes) else { continue }
      let value = result.addConstant("\(nodes[branch.sum].name)/constant", constant)
      let place = nodes[branch.sum].inputs.map { $0 == branch.value ? value : $0 }
      result.nodes[branch.sum].inputs = place
      for value in branch.constants {
        for (axis, size) in (constants[value]?.shape ?? []).enumerated() {
          let place = IndexAtoms.Place(value: value, axis: axis)
          let cut = cuts[place] ?? AxisCut(size: size)
          result.cuts[place] = axis == 0 ? cut.keeping([]) : cut
        }
      }
    }
    return result.withoutDeadNodes()
  }

  /// What a branch adds, without axes along which it is the same; `nil` where that depends on positions.
  private func constant(of branch: ResidualBranch, _ shapes: [[Int]]) -> Tensor? {
    let first = nodes[branch.tail[0]]
    let shape = shapes[first.outputs[0].index]
    guard let (op, _) = affineForm(of: first, shapes), let weight = constants[first.inputs[1]],
      weight.floats.allSatisfy({ $0 == 0 })
    else { return nil }
    let axis = op.featureAxis(ofRank: shape.count)
    let bias = first.inputs.dropFirst(2).first.flatMap { constants[$0] }
    var current = Tensor(shape: shape, repeating: 0)
    if let bias, bias.count == shape[axis] {
      let inner = shape[(axis + 1)...].product
      current = Tensor(
        shape: shape,
        floats: (0..<shape.product).map {
          bias.floats[$0 / max(1, inner) % shape[axis]] * op.biasFactor
        })
    } else if bias != nil {
      return nil
    }
    for index in branch.tail.dropFirst() {
      let node = nodes[index]
      current = node.op.forward(node.inputs.map { constants[$0] ?? current })[0]
    }
    return current.alongOneAxis
  }
}

extension Tensor {
  /// The tensor with size 1 along all axes but one; `nil` where it changes along several.
  fileprivate var alongOneAxis: Tensor? {
    for axis in shape.indices {
      let (size, inner) = (shape[axis], shape[(axis + 1)...].product)
      let kept = (0..<size).map { floats[$0 * inner] }
      guard floats.indices.allSatisfy({ floats[$0] == kept[$0 / inner % size] }) else { continue }
      var small = shape.map { _ in 1 }
      small[axis] = size
      return Tensor(shape: small, floats: kept)
    }
    return nil
  }
}
