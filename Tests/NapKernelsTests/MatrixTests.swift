import NapKernels
import NapTensor
import NapTestSupport
import Testing

/// Linear algebra against triple loops, over awkward sizes.
@Suite struct MatrixTests {
  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var generator = Seed(seed).generator()
    return Matrix(
      rows: rows, columns: columns,
      elements: (0..<rows * columns).map { _ in Double(generator.uniform()) - 0.5 })
  }

  private func expectClose(_ a: Matrix, _ b: Matrix) {
    #expect(a.rows == b.rows && a.columns == b.columns)
    for (x, y) in zip(a.elements, b.elements) { #expect(abs(x - y) < 1e-10) }
  }

  @Test(arguments: [(1, 1, 1), (3, 5, 7), (17, 31, 13), (64, 1, 65)])
  func productsAreTheSumsWrittenOut(_ m: Int, _ k: Int, _ n: Int) {
    let (a, b) = (random(m, k, seed: 1), random(k, n, seed: 2))
    var expected = Matrix(rows: m, columns: n)
    for i in 0..<m { for j in 0..<n { for l in 0..<k { expected[i, j] += a[i, l] * b[l, j] } } }
    expectClose(a * b, expected)
    #expect(abs(a.dot(a) - a.elements.reduce(0) { $0 + $1 * $1 }) < 1e-10)
  }

  @Test(arguments: [1, 2, 13, 64])
  func inversesAndSolutionsAreExact(_ n: Int) throws {
    let half = random(n, n + 3, seed: 3)
    var matrix = half * half.transposed
    matrix.add(toDiagonal: 0.1)
    expectClose(matrix * (try #require(matrix.inverseOfPositiveDefinite)), .identity(n))
    let right = random(n, 3, seed: 4)
    expectClose(matrix * (try #require(matrix.solvingPositiveDefinite(right))), right)
  }

  @Test(arguments: [3, 200])
  func whatIsNotPositiveDefiniteIsRefused(_ n: Int) {
    for (row, column, value) in [
      (1, 1, -1), (1, 1, Double.nan), (2, 1, .nan), (n - 1, 0, .nan), (2, 1, .infinity),
    ] {
      var matrix = Matrix.identity(n)
      matrix[row, column] = value
      matrix[column, row] = value
      #expect(matrix.inverseOfPositiveDefinite == nil, "\(row), \(column): \(value)")
      #expect(matrix.solvingPositiveDefinite(.identity(n)) == nil)
    }
  }

  @Test(arguments: [(1, 1), (5, 9), (33, 17)])
  func selfProductsAreTheSumsWrittenOut(_ rows: Int, _ columns: Int) {
    let a = random(rows, columns, seed: 5).elements.map(Float.init)
    for transposed in [false, true] {
      let (n, k) = transposed ? (columns, rows) : (rows, columns)
      var c = [Float](repeating: 1, count: n * n)
      addSelfProduct(of: a, rows: rows, columns: columns, transposed: transposed, into: &c)
      for i in 0..<n {
        for j in 0...i {
          let sum = (0..<k).reduce(Float(1)) {
            $0
              + (transposed
                ? a[$1 * columns + i] * a[$1 * columns + j]
                : a[i * columns + $1] * a[j * columns + $1])
          }
          #expect(abs(c[i * n + j] - sum) < 1e-4)
        }
      }
    }
    #expect(
      abs(dotProduct(a, a, count: a.count) - a.reduce(0.0) { $0 + Double($1) * Double($1) }) < 1e-4)
  }
}
