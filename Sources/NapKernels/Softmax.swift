import Foundation

/// The index of the largest of `count` numbers; the first of equals.
package func argmax(_ values: UnsafePointer<Float>, _ count: Int) -> Int {
  var best = 0
  for k in 1..<max(1, count) where values[k] > values[best] { best = k }
  return best
}

/// Writes `softmax(values / temperature)` and returns the logarithm of its normalizer.
@discardableResult
package func softmax(
  _ values: UnsafePointer<Float>, _ count: Int, temperature: Float, into p: inout [Float]
) -> Float {
  let largest = values[argmax(values, count)] / temperature
  var total: Float = 0
  for k in 0..<count {
    p[k] = exp(values[k] / temperature - largest)
    total += p[k]
  }
  for k in 0..<count { p[k] /= total }
  return largest + log(total)
}
