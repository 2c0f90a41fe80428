extension BinaryFloatingPoint {
  /// Whether this number comes before another one where the largest, or the smallest, comes first.
  ///
  /// NaN comes before all numbers, so that no comparison hides it.
  func precedes(_ other: Self, largestFirst: Bool) -> Bool {
    if isNaN || other.isNaN { return isNaN && !other.isNaN }
    return largestFirst ? self > other : self < other
  }
}

extension Array where Element: BinaryFloatingPoint {
  /// Where the largest number is, or the smallest, or the first NaN; the first of equals.
  func extremum(largest: Bool) -> Int? {
    indices.min { self[$0].precedes(self[$1], largestFirst: largest) }
  }
}
