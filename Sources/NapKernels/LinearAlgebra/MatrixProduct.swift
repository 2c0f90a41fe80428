internal import CNapBLAS

/// `c = op(a) · op(b)`, or `c += …` when `adding`.
///
/// - Shapes: `op(a) [m, k]`, `op(b) [k, n]`, `c [m, n]`, row-major; `op` transposes where told.
package func multiply(
  _ a: UnsafePointer<Float>, transposingA transposesA: Bool = false, _ b: UnsafePointer<Float>,
  transposingB transposesB: Bool = false, into c: UnsafeMutablePointer<Float>, m: Int, n: Int,
  k: Int,
  adding: Bool = false
) {
  cblas_sgemm(
    CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans,
    Int32(m), Int32(n), Int32(k), 1, a, Int32(transposesA ? m : k), b, Int32(transposesB ? k : n),
    adding ? 1 : 0, c, Int32(n))
}
