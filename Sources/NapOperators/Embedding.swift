package import NapGraph
package import NapTensor

/// Rows of a table, looked up by whole numbers that an input of the network holds: `Gather` of a constant.
///
/// Indices come as numbers that are whole; one beyond the table gives NaN, which is found where numbers are
/// checked.
package struct Embedding: Operator {
  package static let name = "Embedding"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("it is read from Gather")
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(Gather.name, attributes: ["axis": .int(0)])
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { false }
  package func readsIntegers(ofInput index: Int) -> Bool { index == 1 }
  package func readsFloats(ofInput index: Int) -> Bool { index == 0 }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    guard !inputs[0].isEmpty else { throw OperatorError("the table (input 0) has no rows") }
    let result = inputs[1] + inputs[0].dropFirst()
    try result.checkedElementCount()
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    let (table, indices) = (links.inputShapes[0], links.inputShapes[1])
    links.freeze(.input(0, axis: 0), "its rows are looked up")
    for axis in table.indices.dropFirst() {
      links.unite(.input(0, axis: axis), .output(0, axis: indices.count + axis - 1))
    }
    for axis in indices.indices { links.unite(.input(1, axis: axis), .output(0, axis: axis)) }
  }

  package func role(ofInput index: Int) -> ParameterRole? { index == 0 ? .weight : nil }

  /// The row that a number says; `nil` where there is none.
  private func row(_ number: Float, of rows: Int) -> Int? {
    guard number >= Float(-rows), number < Float(rows) else { return nil }
    let row = Int(number)
    return row < 0 ? row + rows : row
  }

  private func numbers(_ tensor: Tensor) -> [Float] {
    tensor.isFloat ? tensor.floats : tensor.integers.map(Float.init)
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let table = inputs[0]
    let size = table.shape.dropFirst().product
    var result: [Float] = []
    result.reserveCapacity(inputs[1].count * size)
    for number in numbers(inputs[1]) {
      if let row = row(number, of: table.shape[0]) {
        result += table.floats[row * size..<(row + 1) * size]
      } else {
        result += repeatElement(.nan, count: size)
      }
    }
    return [Tensor(shape: inferred(inputs)[0], floats: result)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let table = inputs[0]
    let size = table.shape.dropFirst().product
    var gradient = [Float](repeating: 0, count: table.count)
    for (n, number) in numbers(inputs[1]).enumerated() {
      guard let row = row(number, of: table.shape[0]) else { continue }
      for i in 0..<size { gradient[row * size + i] += cotangents[0].floats[n * size + i] }
    }
    return [Tensor(shape: table.shape, floats: gradient), nil]
  }
}
