internal import CNapBLAS

/// `c = op(a) · op(b)`, or `c += …` when `adding`.
///
/// - Shapes: `op(a) [m, k]`, `op(b) [k, n]`, `c [m, n]`, row-major; `op` transposes where told.
/// - Parameter rowStride: from one row of `a` to the next, and of `c`, where these are columns of wider
///   matrices.
package func multiply(
  _ a: UnsafePointer<Float>, transposingA transposesA: Bool = false, _ b: UnsafePointer<Float>,
  transposingB transposesB: Bool = false, into c: UnsafeMutablePointer<Float>, m: Int, n: Int,
  k: Int,
  adding: Bool = false, rowStride: Int? = nil
) {
  cblas_sgemm(
    CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans,
    Int32(m), Int32(n), Int32(k), 1, a, Int32(rowStride ?? (transposesA ? m : k)), b,
    Int32(transposesB ? k : n),
    adding ? 1 : 0, c, Int32(rowStride ?? n))
}
