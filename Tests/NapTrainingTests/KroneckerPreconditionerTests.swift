import Foundation
import NapKernels
import NapTensor
import NapTraining
import Testing

@Suite struct KroneckerPreconditionerTests {
  private func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var generator = Seed(seed).generator()
    return Matrix(
      rows: rows, columns: columns,
      elements: (0..<rows * columns).map { _ in 2 * Double(generator.uniform()) - 1 })
  }

  private func definite(_ size: Int, seed: UInt64) -> Matrix {
    let factor = matrix(size, size, seed: seed)
    var result = factor.times(transposed: factor)
    result.add(toDiagonal: 1)
    return result
  }

  private func diagonal(_ elements: [Double]) -> Matrix {
    var result = Matrix(rows: elements.count, columns: elements.count)
    for (i, element) in elements.enumerated() { result[i, i] = element }
    return result
  }

  private func length(_ m: Matrix) -> Double { m.dot(m).squareRoot() }

  private func inverse(_ matrix: Matrix) throws -> Matrix {
    try #require(matrix.inverseOfPositiveDefinite)
  }

  /// What a preconditioner makes of a gradient, one matrix after another.
  private func applied(_ preconditioner: any Preconditioner, to gradients: [Matrix]) -> [Double] {
    var numbers = gradients.flatMap { $0.elements.map(Float.init) }
    #expect(numbers.count == preconditioner.count)
    numbers.withUnsafeMutableBufferPointer { preconditioner.apply(to: $0.baseAddress!) }
    return numbers.map(Double.init)
  }

  private func expectClose(_ a: [Double], _ b: [Double]) {
    #expect(a.count == b.count)
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-5) }
  }

  @Test func itIsTheProductWithTheInversesAsLongAsTheGradient() throws {
    let blocks = BlockDiagonalMatrix([definite(4, seed: 1), definite(3, seed: 2)])
    let outputs = definite(5, seed: 3)
    let gradient = matrix(5, 7, seed: 4)
    let turned = try inverse(outputs) * gradient * inverse(blocks.dense)
    let scale = length(gradient) / length(turned)
    func preconditioner(outputsAreRows: Bool) throws -> any Preconditioner {
      let group = KroneckerCurvature.Group(inputs: blocks, outputs: outputs)
      return try #require(
        KroneckerCurvature([group], outputsAreRows: outputsAreRows).preconditioner())
    }
    expectClose(
      applied(try preconditioner(outputsAreRows: true), to: [gradient]),
      turned.elements.map { scale * $0 })
    expectClose(
      applied(try preconditioner(outputsAreRows: false), to: [gradient.transposed]),
      turned.transposed.elements.map { scale * $0 })
  }

  private func groups(_ count: UInt64) -> [KroneckerCurvature.Group] {
    (0..<count).map { n in
      KroneckerCurvature.Group(
        inputs: BlockDiagonalMatrix([definite(4, seed: 10 + n), definite(2, seed: 40 + n)]),
        outputs: definite(2, seed: 20 + n))
    }
  }

  private func squared(_ all: [Matrix]) -> Double { all.reduce(0) { $0 + $1.dot($1) } }

  @Test func groupsHaveFactorsOfTheirOwn() throws {
    let groups = groups(3)
    let gradients = (0..<3).map { matrix(2, 6, seed: 30 + $0) }
    let turned = try zip(groups, gradients).map {
      try inverse($0.outputs) * $1 * inverse($0.inputs.dense)
    }
    let scale = (squared(gradients) / squared(turned)).squareRoot()
    let preconditioner = try #require(
      KroneckerCurvature(groups, outputsAreRows: true).preconditioner())
    expectClose(
      applied(preconditioner, to: gradients), turned.flatMap { $0.elements.map { scale * $0 } })
  }

  /// Of a transposed convolution `[in / 3, out, 3]`, in groups: its matrices are nowhere in one piece.
  @Test func inputsMayStayTogetherBehindOutputs() throws {
    let groups = groups(2)
    let gradients = (0..<2).map { matrix(2, 6, seed: 30 + $0) }
    let turned = try zip(groups, gradients).map {
      try inverse($0.outputs) * $1 * inverse($0.inputs.dense)
    }
    let scale = (squared(gradients) / squared(turned)).squareRoot()
    func laidOut(_ matrix: Matrix) -> Matrix {
      Matrix(
        rows: 2, columns: 6,
        elements: (0..<2).flatMap { input in
          (0..<2).flatMap { row in (0..<3).map { matrix[row, 3 * input + $0] } }
        })
    }
    let curvature = KroneckerCurvature(groups, outputsAreRows: false, kernel: 3)
    expectClose(
      applied(try #require(curvature.preconditioner()), to: gradients.map(laidOut)),
      turned.flatMap { laidOut($0).elements.map { scale * $0 } })
    // With a mask of all, one row after the other: what `place` says is where they are.
    #expect(
      (0..<24).sorted()
        == (0..<2).flatMap { g in
          (0..<2).flatMap { i in
            (0..<6).map { curvature.place(group: g, row: i, column: $0) }
          }
        }.sorted())
  }

  /// Where the loss is quadratic with that curvature, the step points to its minimum.
  @Test func itPointsToTheMinimumOfAQuadraticLoss() throws {
    let (a, g) = (definite(6, seed: 5), definite(3, seed: 6))
    let away = matrix(3, 6, seed: 7)
    let gradient = (g * away) * a
    let group = KroneckerCurvature.Group(inputs: BlockDiagonalMatrix(a), outputs: g)
    let preconditioner = try #require(
      KroneckerCurvature([group], outputsAreRows: true).preconditioner())
    let scale = length(gradient) / length(away)
    expectClose(applied(preconditioner, to: [gradient]).map { $0 / scale }, away.elements)
  }

  /// With outputs that are not correlated, to the minimum over what may move.
  @Test(arguments: [true, false])
  func maskedItPointsToTheMinimumOverWhatIsLeft(outputsAreRows: Bool) throws {
    var groups = groups(outputsAreRows ? 3 : 1)
    for g in groups.indices {
      groups[g].outputs = diagonal(groups[g].outputs.diagonal)
    }
    var generator = Seed(8).generator()
    let masks = groups.map { _ in (0..<12).map { _ in generator.uniform() < 0.4 } }
    var away = groups.indices.map { matrix(2, 6, seed: 50 + UInt64($0)) }
    for g in groups.indices { for k in 0..<12 where !masks[g][k] { away[g].elements[k] = 0 } }
    var gradients = zip(groups, away).map { $0.outputs * $1 * $0.inputs.dense }
    for g in groups.indices { for k in 0..<12 where !masks[g][k] { gradients[g].elements[k] = 0 } }
    let scale = (squared(gradients) / squared(away)).squareRoot()
    func laidOut(_ m: Matrix) -> Matrix { outputsAreRows ? m : m.transposed }
    let mask = masks.flatMap {
      laidOut(Matrix(rows: 2, columns: 6, elements: $0.map { $0 ? 1 : 0 })).elements.map { $0 == 1 }
    }
    let preconditioner = try #require(
      KroneckerCurvature(groups, outputsAreRows: outputsAreRows).preconditioner(mask: mask))
    #expect(preconditioner is MaskedPreconditioner)
    expectClose(
      applied(preconditioner, to: gradients.map(laidOut)),
      away.flatMap { laidOut($0).elements.map { scale * $0 } })
  }

  @Test func whereMuchIsLeftTheWholeCurvatureIsInverted() throws {
    let group = KroneckerCurvature.Group(
      inputs: BlockDiagonalMatrix(definite(100, seed: 9)), outputs: .identity(2))
    let curvature = KroneckerCurvature([group], outputsAreRows: true)
    let most = [Bool](repeating: true, count: 200)
    #expect(curvature.preconditioner(mask: most) is KroneckerPreconditioner)
    #expect(
      curvature.preconditioner(mask: most.indices.map { $0 % 2 == 0 }) is MaskedPreconditioner)
  }

  @Test(arguments: [nil, [true, false, true, false, false, true]])
  func aGradientOfZeroStaysZero(mask: [Bool]?) throws {
    let group = KroneckerCurvature.Group(
      inputs: BlockDiagonalMatrix(.identity(3)), outputs: .identity(2))
    let preconditioner = try #require(
      KroneckerCurvature([group], outputsAreRows: true).preconditioner(mask: mask))
    let result = applied(preconditioner, to: [Matrix(rows: 2, columns: 3)])
    #expect(result.allSatisfy { $0 == 0 })
  }

  @Test func curvatureThatIsNotPositiveDefiniteIsOfNoUse() {
    let group = KroneckerCurvature.Group(
      inputs: BlockDiagonalMatrix(diagonal([1, -1])), outputs: .identity(2))
    let curvature = KroneckerCurvature([group], outputsAreRows: true)
    #expect(curvature.preconditioner() == nil)
    #expect(curvature.preconditioner(mask: [true, true, false, false]) == nil)
  }

  @Test func statesAreReadWithCare() throws {
    let curvature = KroneckerCurvature(
      [.init(inputs: BlockDiagonalMatrix(definite(3, seed: 1)), outputs: definite(2, seed: 2))],
      outputsAreRows: true, kernel: 1)
    let original = try #require(KroneckerPreconditioner(curvature))
    let text = String(decoding: try JSONEncoder().encode(original.state), as: UTF8.self)
    func read(_ text: String) throws -> KroneckerPreconditioner {
      KroneckerPreconditioner(
        try JSONDecoder().decode(KroneckerPreconditioner.State.self, from: Data(text.utf8)))
    }
    let gradient = matrix(2, 3, seed: 3)
    #expect(applied(try read(text), to: [gradient]) == applied(original, to: [gradient]))
    for (part, other) in [
      ("\"count\":3", "\"count\":4"), ("\"count\":3", "\"count\":-3"),
      ("\"first\":0", "\"first\":1"),
    ] {
      #expect(text.contains(part))
      #expect(throws: DecodingError.self) {
        try read(text.replacingOccurrences(of: part, with: other))
      }
    }
  }
}
