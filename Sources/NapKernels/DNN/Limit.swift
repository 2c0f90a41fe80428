internal import CNapDNN

/// `out = min(upper, max(lower, a + b))` over flat memory; NaN stays NaN.
///
/// - Parameters:
///   - b: may be absent (0).
///   - out: may be the memory of an operand.
package func limitedSum(
  _ scalar: Scalar, count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer?, lower: Float,
  upper: Float, into out: UnsafeMutableRawPointer
) {
  nap_limit(scalar.rawValue, count, a, b, lower, upper, out)
}

/// Makes `y` NaN wherever `x` is, over flat memory.
package func keepNaN(
  _ scalar: Scalar, count: Int, of x: UnsafeRawPointer, in y: UnsafeMutableRawPointer
) {
  nap_keep_nan(scalar.rawValue, count, x, y)
}

/// Where in flat memory the first NaN is, or infinite number too.
package func firstNotFinite(
  _ scalar: Scalar, count: Int, in x: UnsafeRawPointer, orInfinite: Bool
) -> Int? {
  let place = nap_find_not_finite(scalar.rawValue, count, x, orInfinite ? 1 : 0)
  return place < 0 ? nil : Int(place)
}
