package import NapPruning

/// What the user wants of the result.
package enum Target: Sendable, Hashable {
  /// Keep at most this share of a cost, in `0..<1`.
  case share(Cost, Double)
  /// Set this share of the weights to zero, in `0..<1`.
  case sparsity(Double)
  /// Remove as much as can go for at most this loss of accuracy, in percentage points.
  case maxDrop(Double)
}

/// How the removed share grows over a gradual run: fast at first, when much is redundant.
///
/// - Source: Zhu & Gupta 2017, arXiv:1710.01878.
package func cubicSchedule(_ progress: Double, target: Double) -> Double {
  let rest = 1 - min(1, max(0, progress))
  return target * (1 - rest * rest * rest)
}
