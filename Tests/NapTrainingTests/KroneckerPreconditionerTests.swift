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

  private func length(_ m: Matrix) -> Double { m.dot(m).squareRoot() }

  /// What a preconditioner makes of a gradient, one matrix after another.
  private func applied(_ preconditioner: KroneckerPreconditioner, to gradients: [Matrix])
    -> [Double]
  {
    var numbers = gradients.flatMap { $0.elements.map(Float.init) }
    #expect(numbers.count == preconditioner.count)
    numbers.withUnsafeMutableBufferPointer { preconditioner.apply(to: $0.baseAddress!) }
    return numbers.map(Double.init)
  }

  private func expectClose(_ a: [Double], _ b: [Double]) {
    #expect(a.count == b.count)
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-5) }
  }

  @Test func itIsTheProductWithTheInversesAsLongAsTheGradient() {
    let blocks = BlockDiagonalMatrix([definite(4, seed: 1), definite(3, seed: 2)])
    let outputs = definite(5, seed: 3)
    let gradient = matrix(5, 7, seed: 4)
    let inverses = KroneckerPreconditioner.Inverses(inputs: blocks, outputs: outputs)
    let turned = (outputs * gradient) * blocks.dense
    let scale = length(gradient) / length(turned)
    expectClose(
      applied(KroneckerPreconditioner([inverses], outputsAreRows: true), to: [gradient]),
      turned.elements.map { scale * $0 })
    expectClose(
      applied(
        KroneckerPreconditioner([inverses], outputsAreRows: false), to: [gradient.transposed]),
      turned.transposed.elements.map { scale * $0 })
  }

  @Test func groupsHaveFactorsOfTheirOwn() {
    let inverses = (0..<3).map { n in
      KroneckerPreconditioner.Inverses(
        inputs: BlockDiagonalMatrix(definite(4, seed: 10 + n)), outputs: definite(2, seed: 20 + n))
    }
    let gradients = (0..<3).map { matrix(2, 4, seed: 30 + $0) }
    let turned = zip(inverses, gradients).map { ($0.outputs * $1) * $0.inputs }
    func squared(_ all: [Matrix]) -> Double { all.reduce(0) { $0 + $1.dot($1) } }
    let scale = (squared(gradients) / squared(turned)).squareRoot()
    expectClose(
      applied(KroneckerPreconditioner(inverses, outputsAreRows: true), to: gradients),
      turned.flatMap { $0.elements.map { scale * $0 } })
  }

  /// Where the loss is quadratic with that curvature, the step points to its minimum.
  @Test func itPointsToTheMinimumOfAQuadraticLoss() throws {
    let (a, g) = (definite(6, seed: 5), definite(3, seed: 6))
    let away = matrix(3, 6, seed: 7)
    let gradient = (g * away) * a
    let inverses = KroneckerPreconditioner.Inverses(
      inputs: BlockDiagonalMatrix(try #require(a.inverseOfPositiveDefinite)),
      outputs: try #require(g.inverseOfPositiveDefinite))
    let scale = length(gradient) / length(away)
    expectClose(
      applied(KroneckerPreconditioner([inverses], outputsAreRows: true), to: [gradient])
        .map { $0 / scale }, away.elements)
  }

  @Test func aGradientOfZeroStaysZero() {
    let inverses = KroneckerPreconditioner.Inverses(
      inputs: BlockDiagonalMatrix(.identity(3)), outputs: .identity(2))
    let result = applied(
      KroneckerPreconditioner([inverses], outputsAreRows: true), to: [Matrix(rows: 2, columns: 3)])
    #expect(result.allSatisfy { $0 == 0 })
  }
}
