import NapTensor

/// The largest difference of two lists of numbers, relative to the largest magnitude in either.
package func relativeDifference(_ a: [Float], _ b: [Float]) -> Double {
  guard a.count == b.count else { return .infinity }
  var difference = 0.0
  var scale = 1e-30
  for (x, y) in zip(a, b) {
    guard x.isFinite, y.isFinite else { return x == y ? difference : .infinity }
    difference = max(difference, abs(Double(x) - Double(y)))
    scale = max(scale, abs(Double(x)), abs(Double(y)))
  }
  return difference / scale
}
