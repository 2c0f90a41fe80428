package import NapGraph
package import NapTensor

/// An operator that reduces some axes to one number each.
package protocol ReducingOperator: Operator {
  /// Negative numbers count from the end; `nil` means all axes.
  var axes: [Int]? { get }
  var keepsAxes: Bool { get }
  init(axes: [Int]?, keepsAxes: Bool)
  /// The reduction of some numbers, at least one.
  static func value(_ x: [Double]) -> Double
  /// Its partial derivatives, given the value.
  static func derivatives(_ x: [Double], _ y: Double) -> [Double]
  /// Whether a zero among the numbers changes nothing, so that indices may be removed.
  static var ignoresZeros: Bool { get }
}

extension ReducingOperator {
  package static var ignoresZeros: Bool { false }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let rank = try node.shape(ofInput: 0).count
    var axes = try node.ints("axes", orInput: 1)
    if axes?.isEmpty ?? true {
      axes = try node.int("noop_with_empty_axes", default: 0) != 0 ? [] : nil
    }
    _ = try axes?.axes(ofRank: rank)
    let keeps = try node.int("keepdims", default: 1) != 0
    // Opset 17 cannot say "no axis".
    guard axes != [] || value([-2]) != -2 else {
      return try ImportedOperator(Identity(), of: node)
    }
    return try ImportedOperator(Self(axes: axes, keepsAxes: keeps), of: node)
  }

  /// From opset 18 on, the writer turns the attribute into an input.
  package func exported() -> ExportedOperator {
    var attributes: [String: Attribute] = ["keepdims": .int(keepsAxes ? 1 : 0)]
    if let axes { attributes["axes"] = .ints(axes) }
    return ExportedOperator(name, attributes: attributes)
  }

  /// Which axes of a tensor are reduced.
  func reduced(_ rank: Int) -> [Int] {
    axes.map { $0.map { $0 < 0 ? $0 + rank : $0 } } ?? Array(0..<rank)
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    _ = try axes?.axes(ofRank: shape.count)
    let reduced = reduced(shape.count)
    guard reduced.allSatisfy({ shape[$0] > 0 }) else {
      throw OperatorError("cannot reduce an empty axis of shape \(shape)")
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
        if !Self.ignoresZeros { links.freeze(.input(0, axis: axis), "\(name) reduces it") }
        if keepsAxes { links.freeze(.output(0, axis: output), "\(name) has reduced it") }
      } else {
        links.unite(.input(0, axis: axis), .output(0, axis: output))
      }
      if keepsAxes || !reduced.contains(axis) { output += 1 }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    return [Tensor(shape: shape, floats: groups(inputs[0]).map { Float(Self.value($0.values)) })]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var dx = [Float](repeating: 0, count: inputs[0].count)
    for (n, group) in groups(inputs[0]).enumerated() {
      let slopes = Self.derivatives(group.values, Double(outputs[0].floats[n]))
      for (position, slope) in zip(group.positions, slopes) {
        dx[position] = Float(slope * Double(cotangents[0].floats[n]))
      }
    }
    return [Tensor(shape: inputs[0].shape, floats: dx)]
  }

  /// What every element of the output is reduced from.
  private func groups(_ x: Tensor) -> [(positions: [Int], values: [Double])] {
    let view = view(x.shape)
    let count = x.count / max(1, reduced(x.shape.count).reduce(1) { $0 * x.shape[$1] })
    var result = [(positions: [Int], values: [Double])](repeating: ([], []), count: count)
    view.forEach { position, index in
      result[index].positions.append(position)
      result[index].values.append(Double(x.floats[position]))
    }
    return result
  }

  /// The output seen with the shape of the input: stride 0 along what is reduced.
  private func view(_ shape: [Int]) -> StridedView {
    let reduced = reduced(shape.count)
    let kept = shape.indices.map { reduced.contains($0) ? 1 : shape[$0] }
    let strides = zip(shape.indices, kept.rowMajorStrides).map { reduced.contains($0) ? 0 : $1 }
    return StridedView(shape: shape, strides: strides)
  }
}
