package import NapGraph
package import NapTensor

/// The input repeated along its axes.
package struct Tile: Operator {
  package static let name = "Tile"

  package var repeats: [Int]

  package init(repeats: [Int]) { self.repeats = repeats }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let repeats = try node.ints("repeats", orInput: 1) else {
      throw OperatorError("the repeats (input 1) are missing")
    }
    return try ImportedOperator(Tile(repeats: repeats), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, constants: [1: Tensor(repeats)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    guard repeats.count == inputs[0].count else {
      throw OperatorError("\(repeats.count) repeats do not fit shape \(inputs[0])")
    }
    var result: [Int] = []
    for (size, count) in zip(inputs[0], repeats) {
      let (product, overflow) = size.multipliedReportingOverflow(by: count)
      guard count >= 0, !overflow else {
        throw OperatorError("cannot repeat an axis \(count) times")
      }
      result.append(product)
    }
    try result.checkedElementCount()
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    for (axis, size) in links.inputShapes[0].enumerated() {
      for k in 0..<links.outputShapes[0][axis] {
        links.unite(.input(0, axis: axis), k % size, .output(0, axis: axis), k)
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    var result = inputs[0]
    for (axis, count) in repeats.enumerated() where count != 1 {
      let size = result.shape[axis]
      result = result.selecting((0..<size * count).map { $0 % size }, axis: axis)
    }
    return [result]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    var dx = [Double](repeating: 0, count: x.count)
    let (inner, outer) = (x.shape.rowMajorStrides, outputs[0].shape.rowMajorStrides)
    for (position, dy) in cotangents[0].floats.enumerated() {
      let index = x.shape.indices.reduce(0) { sum, axis in
        sum + position / outer[axis] % outputs[0].shape[axis] % x.shape[axis] * inner[axis]
      }
      dx[index] += Double(dy)
    }
    return [Tensor(shape: x.shape, floats: dx.map(Float.init))]
  }
}
