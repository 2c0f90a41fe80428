package import NapEngine
package import NapGraph
package import NapTensor

/// The mean over some axes.
package struct ReduceMean: Operator {
  package static let name = "ReduceMean"

  /// Negative numbers count from the end; `nil` means all axes.
  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let rank = try node.shape(ofInput: 0).count
    var axes = try node.ints("axes", orInput: 1)
    if axes?.isEmpty ?? true {
      axes = try node.int("noop_with_empty_axes", default: 0) != 0 ? [] : nil
    }
    _ = try axes?.axes(ofRank: rank)
    let keeps = try node.int("keepdims", default: 1) != 0
    // Opset 17 cannot say "no axis": a network without them is written as an Identity.
    if axes == [] { return try ImportedOperator(Identity(), of: node) }
    return try ImportedOperator(ReduceMean(axes: axes, keepsAxes: keeps), of: node)
  }

  package func exported() -> ExportedOperator {
    var attributes: [String: Attribute] = ["keepdims": .int(keepsAxes ? 1 : 0)]
    if let axes { attributes["axes"] = .ints(axes) }
    return ExportedOperator(name, attributes: attributes)
  }

  /// Which axes of a tensor are averaged over.
  private func reduced(_ rank: Int) -> [Int] {
    axes.map { $0.map { $0 < 0 ? $0 + rank : $0 } } ?? Array(0..<rank)
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    _ = try axes?.axes(ofRank: shape.count)
    let reduced = reduced(shape.count)
    guard reduced.allSatisfy({ shape[$0] > 0 }) else {
      throw OperatorError("there is no mean over an empty axis of shape \(shape)")
    }
    return [
      shape.indices.compactMap { reduced.contains($0) ? (keepsAxes ? 1 : nil) : shape[$0] }
    ]
  }

  package func link(_ links: inout IndexLinks) {
    let shape = links.inputShapes[0]
    let reduced = reduced(shape.count)
    var output = 0
    for axis in shape.indices {
      if reduced.contains(axis) {
        links.freeze(.input(0, axis: axis), "the mean is taken over it")
        if keepsAxes { links.freeze(.output(0, axis: output), "it is a mean") }
      } else {
        links.unite(.input(0, axis: axis), .output(0, axis: output))
      }
      if keepsAxes || !reduced.contains(axis) { output += 1 }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let (x, shape) = (inputs[0], inferred(inputs)[0])
    var sums = [Double](repeating: 0, count: shape.product)
    view(x.shape).forEach { position, index in sums[index] += Double(x.floats[position]) }
    let count = Double(x.count / max(1, shape.product))
    return [Tensor(shape: shape, floats: sums.map { Float($0 / count) })]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var dx = [Float](repeating: 0, count: inputs[0].count)
    let count = Float(inputs[0].count / max(1, outputs[0].count))
    view(inputs[0].shape).forEach { position, index in
      dx[position] = cotangents[0].floats[index] / count
    }
    return [Tensor(shape: inputs[0].shape, floats: dx)]
  }

  /// The output seen with the shape of the input: stride 0 along what is averaged over.
  private func view(_ shape: [Int]) -> StridedView {
    let reduced = reduced(shape.count)
    let kept = shape.indices.map { reduced.contains($0) ? 1 : shape[$0] }
    let strides = zip(shape.indices, kept.rowMajorStrides).map { reduced.contains($0) ? 0 : $1 }
    return StridedView(shape: shape, strides: strides)
  }
}

// MARK: Lowering
extension ReduceMean: Lowerable {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, y) = (node.inputs[0], node.outputs[0])
    let rank = plan.shape(x).count
    guard rank > 2, rank < 6, reduced(rank).sorted() == Array(2..<rank) else {
      return try PlainLowering.lower(node, into: plan)
    }
    func step(_ op: any Operator, _ input: ValueID, _ output: ValueID) -> PlanNode {
      PlanNode(index: node.index, name: node.name, op: op, inputs: [input], outputs: [output])
    }
    if keepsAxes {
      return try GlobalAveragePool().lower(step(GlobalAveragePool(), x, y), into: plan)
    }
    let pooled = plan.makeValue(
      like: y, shape: plan.shape(x).prefix(2) + [Int](repeating: 1, count: rank - 2))
    let pooling = try GlobalAveragePool().lower(step(GlobalAveragePool(), x, pooled), into: plan)
    let flattening = try Flatten(axis: 1).lower(step(Flatten(axis: 1), pooled, y), into: plan)
    return {
      try flattening()
      try pooling()
    }
  }
}
