package import NapGraph
package import NapTensor

/// A sum of products of one or two tensors, written with a letter for every axis.
package struct Einsum: Operator {
  package static let name = "Einsum"

  package var equation: String
  /// The letters of the axes of every input, and of the output.
  private let operands: [[Character]]
  private let result: [Character]

  package init(equation: String) throws(OperatorError) {
    self.equation = equation
    let text = equation.filter { $0 != " " }
    guard !text.contains("."), text.allSatisfy({ $0.isLetter || ",->".contains($0) }) else {
      throw OperatorError("the equation '\(equation)' is not supported")
    }
    let sides = text.split(separator: "-", omittingEmptySubsequences: false)
    operands = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
    guard sides.count <= 2, operands.count <= 2 else {
      throw OperatorError("the equation '\(equation)' is not supported")
    }
    let letters = operands.flatMap { $0 }
    if sides.count == 2 {
      guard sides[1].first == ">" else {
        throw OperatorError("the equation '\(equation)' is not supported")
      }
      result = Array(sides[1].dropFirst())
    } else {
      // Without an arrow, the output has the letters that occur once, in alphabetical order.
      result = Set(letters).filter { letter in letters.count { $0 == letter } == 1 }.sorted()
    }
    guard Set(result).count == result.count, Set(result).isSubset(of: letters),
      operands.allSatisfy({ Set($0).count == $0.count })
    else { throw OperatorError("the equation '\(equation)' is not supported") }
  }

  package init(from decoder: any Decoder) throws {
    self = try Einsum(equation: decoder.singleValueContainer().decode(String.self))
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(equation)
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let einsum = try Einsum(equation: try node.string("equation", default: ""))
    guard node.inputs.count == einsum.operands.count else {
      throw OperatorError("the equation '\(einsum.equation)' does not fit its inputs")
    }
    return try ImportedOperator(einsum, first: einsum.operands.count, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["equation": .string(equation)])
  }

  /// The size of every letter.
  private func sizes(_ inputs: [[Int]]) throws(OperatorError) -> [Character: Int] {
    var sizes: [Character: Int] = [:]
    for (letters, shape) in zip(operands, inputs) {
      guard letters.count == shape.count else {
        throw OperatorError("shape \(shape) does not fit '\(String(letters))'")
      }
      for (letter, size) in zip(letters, shape) {
        guard sizes[letter] ?? size == size else {
          throw OperatorError(
            "the axes '\(letter)' have the sizes \(sizes[letter] ?? 0) and \(size)")
        }
        sizes[letter] = size
      }
    }
    return sizes
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: operands.count)
    let sizes = try sizes(inputs)
    guard sizes.values.boundedProduct < 1 << 56 else {
      throw OperatorError("shapes \(inputs) are not of a valid size")
    }
    return [result.map { sizes[$0] ?? 1 }]
  }

  package func link(_ links: inout IndexLinks) {
    // An index that is summed over may go from both sides: zeros add nothing.
    var known: [Character: Axis] = [:]
    for (axis, letter) in result.enumerated() { known[letter] = .output(0, axis: axis) }
    for (operand, letters) in operands.enumerated() {
      for (axis, letter) in letters.enumerated() {
        let own = Axis.input(operand, axis: axis)
        if let other = known[letter] { links.unite(other, own) } else { known[letter] = own }
      }
    }
  }

  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (try? sizes(inputs).values.boundedProduct) ?? 0
  }

  package func role(ofInput index: Int) -> ParameterRole? { .weight }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    var y = [Double](repeating: 0, count: shape.product)
    forEachProduct(inputs.map(\.shape)) { places, position in
      y[position] += zip(inputs, places).reduce(1) { $0 * Double($1.0.floats[$1.1]) }
    }
    return [Tensor(shape: shape, floats: y.map(Float.init))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var sums = inputs.map { [Double](repeating: 0, count: $0.count) }
    forEachProduct(inputs.map(\.shape)) { places, position in
      let dy = Double(cotangents[0].floats[position])
      for (n, place) in places.enumerated() {
        var slope = dy
        for (m, other) in places.enumerated() where m != n {
          slope *= Double(inputs[m].floats[other])
        }
        sums[n][place] += slope
      }
    }
    return zip(inputs, sums).map { Tensor(shape: $0.shape, floats: $1.map(Float.init)) }
  }

  /// Calls `body` with the elements of the inputs that are multiplied and of the output they are
  /// added to.
  private func forEachProduct(_ inputs: [[Int]], _ body: ([Int], Int) -> Void) {
    guard let sizes = try? sizes(inputs) else { return }
    let letters = sizes.keys.sorted()
    let shape = letters.map { sizes[$0] ?? 1 }
    func strides(_ own: [Character]) -> [Int] {
      let dense = own.map { sizes[$0] ?? 1 }.rowMajorStrides
      return letters.map { letter in own.firstIndex(of: letter).map { dense[$0] } ?? 0 }
    }
    let all = operands.map(strides) + [strides(result)]
    var places = all.map { _ in [Int]() }
    for (n, strides) in all.enumerated() {
      StridedView(shape: shape, strides: strides).forEach { places[n].append($1) }
    }
    for i in 0..<shape.product {
      body(operands.indices.map { places[$0][i] }, places[operands.count][i])
    }
  }
}
