/// What the number of channels that are left of a set is a multiple of.
package enum Rounding: Sendable, Hashable {
  /// Any number will do.
  case single
  /// A multiple of this.
  case multiple(Int)
  /// A power of two of at most 16, and at most a quarter of what is left: processors compute in blocks,
  /// but of few channels a block is too much to lose at once.
  case automatic

  /// What the number of units of a set has to be a multiple of.
  ///
  /// - Parameters:
  ///   - count: units that are left.
  ///   - channels: of every unit.
  package func multiple(of count: Int, channels: Int) -> Int {
    let multiple = multiple(of: count * channels)
    return multiple / greatestCommonDivisor(multiple, channels)
  }

  /// - Parameter count: channels that are left.
  package func multiple(of count: Int) -> Int {
    switch self {
    case .single: return 1
    case .multiple(let multiple): return multiple
    case .automatic:
      var multiple = 16
      while multiple > 1, count < Self.bundles * multiple { multiple /= 2 }
      return multiple
    }
  }

  /// Bundles that a set has at least.
  private static let bundles = 4
}
