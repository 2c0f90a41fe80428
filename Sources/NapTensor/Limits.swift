extension BinaryFloatingPoint {
  /// The nearest number in a range; NaN stays NaN.
  package func limited(to range: ClosedRange<Self>) -> Self {
    self > range.upperBound ? range.upperBound : atLeast(range.lowerBound)
  }

  /// This number, or the least one where it is smaller; NaN stays NaN, which `max(0, x)` makes 0.
  package func atLeast(_ least: Self) -> Self { self < least ? least : self }
}
