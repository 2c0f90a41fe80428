internal import CNapBLAS
import Foundation
import NapTensor

/// A dense matrix in double precision, row-major: what statistics and their algebra are kept in.
package struct Matrix: Sendable, Equatable, Codable {
  package let rows: Int
  package let columns: Int
  package var elements: [Double]

  package init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, elements: [Double](repeating: 0, count: rows * columns))
  }

  package init(rows: Int, columns: Int, elements: [Double]) {
    precondition(elements.count == rows * columns)
    self.rows = rows
    self.columns = columns
    self.elements = elements
  }

  private enum Keys: String, CodingKey {
    case rows, columns, elements
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(rows, forKey: .rows)
    try container.encode(columns, forKey: .columns)
    try container.encode(Data(numbers: elements), forKey: .elements)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    let elements = try container.decode(Data.self, forKey: .elements).numbers(Double.self)
    rows = try container.decode(Int.self, forKey: .rows)
    columns = try container.decode(Int.self, forKey: .columns)
    guard [rows, columns].elementCount == elements.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .elements, in: container, debugDescription: "as many elements as rows x columns")
    }
    self.elements = elements
  }

  package static func identity(_ size: Int) -> Matrix {
    var result = Matrix(rows: size, columns: size)
    for i in 0..<size { result[i, i] = 1 }
    return result
  }

  package subscript(row: Int, column: Int) -> Double {
    get { elements[row * columns + column] }
    set { elements[row * columns + column] = newValue }
  }

  package var trace: Double { diagonal.reduce(0, +) }

  package var diagonal: [Double] { (0..<min(rows, columns)).map { self[$0, $0] } }

  package var transposed: Matrix {
    var result = Matrix(rows: columns, columns: rows)
    for i in 0..<rows { for j in 0..<columns { result[j, i] = self[i, j] } }
    return result
  }

  package mutating func add(toDiagonal value: Double) {
    for i in 0..<min(rows, columns) { self[i, i] += value }
  }

  /// The elements where the given rows and columns cross.
  package func selecting(rows chosenRows: [Int], columns chosenColumns: [Int]) -> Matrix {
    var result = Matrix(rows: chosenRows.count, columns: chosenColumns.count)
    elements.withUnsafeBufferPointer { source in
      result.elements.withUnsafeMutableBufferPointer { target in
        var next = 0
        for i in chosenRows {
          for j in chosenColumns {
            target[next] = source[i * columns + j]
            next += 1
          }
        }
      }
    }
    return result
  }

  package func selecting(columns chosen: [Int]) -> Matrix {
    selecting(rows: Array(0..<rows), columns: chosen)
  }

  package func selecting(rows chosen: [Int]) -> Matrix {
    Matrix(
      rows: chosen.count, columns: columns,
      elements: chosen.flatMap { elements[$0 * columns..<($0 + 1) * columns] })
  }

  package static func * (a: Matrix, b: Matrix) -> Matrix {
    var result = Matrix(rows: a.rows, columns: b.columns)
    result.add(a, b, factor: 1)
    return result
  }

  package static func += (a: inout Matrix, b: Matrix) {
    precondition(a.rows == b.rows && a.columns == b.columns)
    for i in a.elements.indices { a.elements[i] += b.elements[i] }
  }

  /// `self += factor · a · b`, on some neighbouring columns of `self`.
  package mutating func add(
    _ a: Matrix, _ b: Matrix, factor: Double, columns chosen: Range<Int>? = nil
  ) {
    let chosen = chosen ?? 0..<columns
    precondition(a.columns == b.rows && rows == a.rows && chosen.count == b.columns)
    guard rows > 0, !chosen.isEmpty, a.columns > 0 else { return }
    let width = columns
    elements.withUnsafeMutableBufferPointer { target in
      guard let base = target.baseAddress else { return }
      cblas_dgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(a.rows), Int32(b.columns),
        Int32(a.columns), factor, a.elements, Int32(a.columns), b.elements, Int32(b.columns), 1,
        base + chosen.lowerBound, Int32(width))
    }
  }

  /// `self += factor · aᵀ · b`.
  package mutating func add(transposed a: Matrix, _ b: Matrix, factor: Double) {
    precondition(a.rows == b.rows && rows == a.columns && columns == b.columns)
    guard rows > 0, columns > 0, a.rows > 0 else { return }
    cblas_dgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, Int32(rows), Int32(columns), Int32(a.rows), factor,
      a.elements, Int32(rows), b.elements, Int32(columns), 1, &elements, Int32(columns))
  }

  /// `self · otherᵀ`.
  package func times(transposed other: Matrix) -> Matrix {
    precondition(columns == other.columns)
    var result = Matrix(rows: rows, columns: other.rows)
    guard rows > 0, other.rows > 0, columns > 0 else { return result }
    cblas_dgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(other.rows), Int32(columns), 1,
      elements, Int32(columns), other.elements, Int32(columns), 0, &result.elements,
      Int32(other.rows))
    return result
  }

  /// The sum of the products of corresponding elements of every row.
  package func rowDots(_ other: Matrix) -> [Double] {
    precondition(rows == other.rows && columns == other.columns)
    return elements.withUnsafeBufferPointer { a in
      other.elements.withUnsafeBufferPointer { b in
        (0..<rows).map { i in
          (i * columns..<(i + 1) * columns).reduce(0) { $0 + a[$1] * b[$1] }
        }
      }
    }
  }

  /// The sum of the products of corresponding elements, `tr(a bᵀ)`.
  package func dot(_ other: Matrix) -> Double {
    precondition(rows == other.rows && columns == other.columns)
    return cblas_ddot(Int32(elements.count), elements, 1, other.elements, 1)
  }
}

// MARK: Positive definite matrices
extension Matrix {
  /// The inverse of a symmetric positive definite matrix; `nil` when it is not positive definite.
  ///
  /// - Cost: `O(n³)`.
  package var inverseOfPositiveDefinite: Matrix? {
    precondition(rows == columns)
    guard rows > 0 else { return self }
    guard var result = choleskyFactor() else { return nil }
    var (n, status) = (Int32(rows), Int32(0))
    dpotri_("U", &n, &result.elements, &n, &status, 1)
    guard status == 0 else { return nil }
    result.mirrorLowerTriangle()
    return result
  }

  /// `L` of `L · Lᵀ` in the lower triangle, what was there in the upper; `nil` when the matrix is not positive
  /// definite, or not of numbers.
  private func choleskyFactor() -> Matrix? {
    var result = self
    var (n, status) = (Int32(rows), Int32(0))
    // The lower triangle by rows is the upper one by columns, as LAPACK reads it.
    dpotrf_("U", &n, &result.elements, &n, &status, 1)
    // NaN anywhere in it reaches the diagonal, and OpenBLAS goes on with it.
    guard status == 0, (0..<rows).allSatisfy({ result[$0, $0].isFinite }) else { return nil }
    return result
  }

  /// `self⁻¹ · right` for a symmetric positive definite matrix; `nil` when it is not.
  package func solvingPositiveDefinite(_ right: Matrix) -> Matrix? {
    precondition(rows == columns && right.rows == rows)
    guard rows > 0, right.columns > 0 else { return right }
    guard let factor = choleskyFactor() else { return nil }
    var result = right
    let (n, columns) = (Int32(rows), Int32(right.columns))
    for transposition in [CblasNoTrans, CblasTrans] {
      cblas_dtrsm(
        CblasRowMajor, CblasLeft, CblasLower, transposition, CblasNonUnit, n, columns, 1,
        factor.elements, n, &result.elements, columns)
    }
    return result
  }

  /// Copies what lies below the diagonal to above it.
  package mutating func mirrorLowerTriangle() {
    let n = rows
    elements.withUnsafeMutableBufferPointer { e in
      for i in 0..<n { for j in 0..<i { e[j * n + i] = e[i * n + j] } }
    }
  }
}
