/// The sum of `count` numbers, in double precision: a running sum of a hundred thousand floats has lost
/// three of its seven digits, and waits for itself.
package func sum(_ x: UnsafePointer<Float>, count: Int) -> Double {
  inLanes(count, { load(x, $0) }, { Double(x[$0]) })
}

/// `Σ (x - mean)²` of `count` numbers, in double precision.
package func sumOfSquares(_ x: UnsafePointer<Float>, around mean: Double, count: Int) -> Double {
  inLanes(
    count,
    {
      let difference = load(x, $0) - mean
      return difference * difference
    },
    {
      let difference = Double(x[$0]) - mean
      return difference * difference
    })
}

@inline(__always)
private func inLanes(
  _ count: Int, _ eight: (Int) -> SIMD8<Double>, _ one: (Int) -> Double
) -> Double {
  let whole = count / 8 * 8
  var sums = SIMD8<Double>(repeating: 0)
  for i in stride(from: 0, to: whole, by: 8) { sums += eight(i) }
  return (whole..<count).reduce(sums.sum()) { $0 + one($1) }
}

@inline(__always)
private func load(_ x: UnsafePointer<Float>, _ i: Int) -> SIMD8<Double> {
  SIMD8(UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Float>.self))
}
