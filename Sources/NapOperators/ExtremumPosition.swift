package import NapGraph
package import NapTensor

/// An operator that says where along an axis a number is, rather than how large.
///
/// Positions are whole numbers and have no derivative: such operators end networks.
package protocol PositionOperator: Operator {
  /// Negative numbers count from the end.
  var axis: Int { get }
}

/// Where along an axis the largest or the smallest number is.
package protocol ExtremumPosition: PositionOperator {
  /// Negative numbers count from the end.
  var axis: Int { get }
  var keepsAxis: Bool { get }
  /// Whether the last of equal numbers counts, rather than the first.
  var prefersLast: Bool { get }
  init(axis: Int, keepsAxis: Bool, prefersLast: Bool)
  /// Whether `a` comes before `b`.
  static func precedes(_ a: Float, _ b: Float) -> Bool
}

extension ExtremumPosition {
  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let axis = try node.int("axis", default: 0)
    let keeps = try node.int("keepdims", default: 1) != 0
    let last = try node.int("select_last_index", default: 0) != 0
    return try ImportedOperator(Self(axis: axis, keepsAxis: keeps, prefersLast: last), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      attributes: [
        "axis": .int(axis), "keepdims": .int(keepsAxis ? 1 : 0),
        "select_last_index": .int(prefersLast ? 1 : 0),
      ])
  }

  package func elementType(ofOutput index: Int) -> ElementType { .int64 }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let own = try axis.axis(ofRank: inputs[0].count)
    guard inputs[0][own] > 0 else {
      throw OperatorError("axis \(axis) of shape \(inputs[0]) is empty")
    }
    var shape = inputs[0]
    if keepsAxis { shape[own] = 1 } else { shape.remove(at: own) }
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.inputShapes[0].count
    let own = axis < 0 ? axis + rank : axis
    links.freeze(.input(0, axis: own), "\(name) counts its indices")
    if keepsAxis { links.freeze(.output(0, axis: own), "\(name) has reduced it") }
    for a in 0..<rank where a != own {
      links.unite(.input(0, axis: a), .output(0, axis: a > own && !keepsAxis ? a - 1 : a))
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    let positions = x.shape.lines(along: axis).map { line -> Float in
      var best = 0
      for i in line.indices.dropFirst() {
        let (a, b) = (x.floats[line[i]], x.floats[line[best]])
        if Self.precedes(a, b) || (prefersLast && a == b) { best = i }
      }
      return Float(best)
    }
    return [Tensor(shape: inferred(inputs)[0], floats: positions)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    [Tensor(shape: inputs[0].shape, repeating: 0)]
  }
}
