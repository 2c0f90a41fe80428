/// Whether the weights of every output are alike enough for Winograd's algorithm.
///
/// Its rounding errors are a share of the largest weight, spread over a tile of outputs: beside a weight
/// `r` times as large as the others, outputs that it does not touch are off by `r · 1e-6`, as measured;
/// a kernel that slides the window has no such errors. The largest weight is compared with the largest
/// sixteenth of those that are not zero, so that many dead weights do not make the others look large.
///
/// - Parameter weights: `[outputs, size]`, dense.
package func areAlike(_ weights: UnsafePointer<Float>, outputs: Int, size: Int) -> Bool {
  // Powers of 2: errors stay below 5e-5 of what a neighbour should be.
  let most = 5
  var counts = [Int](repeating: 0, count: 256)
  for o in 0..<outputs {
    for i in o * size..<(o + 1) * size { counts[Int(weights[i].exponentBitPattern)] += 1 }
    // Zeros and NaN: the first are no weights, the second may not reach a whole tile.
    let (zeros, broken) = (counts[0], counts[255])
    guard broken == 0 else { return false }
    var left = (size - zeros) / 16
    let largest = counts.lastIndex { $0 > 0 } ?? 0
    var typical = largest
    while typical > 1, left >= counts[typical] {
      left -= counts[typical]
      typical -= 1
    }
    if largest - typical > most { return false }
    for exponent in counts.indices { counts[exponent] = 0 }
  }
  return true
}
