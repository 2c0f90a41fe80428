internal import CNapBLAS

/// The lower triangle of `c += factor · a · aᵀ`, or of `c += factor · aᵀ · a` when `transposed`.
///
/// - Shapes: `a [rows, columns]`, its rows `stride` numbers apart, `c [n, n]` with
///   `n = transposed ? columns : rows`; row-major.
package func addSelfProduct(
  of a: UnsafePointer<Float>, rows: Int, columns: Int, stride: Int? = nil,
  transposed: Bool = false, factor: Float = 1, into c: UnsafeMutablePointer<Float>
) {
  let (n, k) = transposed ? (columns, rows) : (rows, columns)
  cblas_ssyrk(
    CblasRowMajor, CblasLower, transposed ? CblasTrans : CblasNoTrans, Int32(n), Int32(k), factor,
    a, Int32(stride ?? columns), 1, c, Int32(n))
}

/// The sum of products, accumulated in double precision block by block.
package func dotProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double
{
  var sum = 0.0
  var start = 0
  while start < count {
    let length = min(4096, count - start)
    sum += Double(cblas_sdot(Int32(length), a + start, 1, b + start, 1))
    start += length
  }
  return sum
}

/// Sets how many threads BLAS and LAPACK use, and returns how many they used before.
@discardableResult
package func setLinearAlgebraThreads(_ count: Int) -> Int {
  let before = Int(openblas_get_num_threads())
  openblas_set_num_threads(Int32(count))
  return before
}
