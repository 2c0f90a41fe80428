import Foundation

/// How the learning rate goes down over a run, as a factor of its peak.
package enum Schedule: String, Sendable, CaseIterable {
  /// Half a cosine from 1 to 0.
  case cosine
  /// 1 for 0.4 of the run, then linearly down to 0.
  ///
  /// - Source: the trapezoid of Xing et al. 2018, arXiv:1802.08770, with a long fall.
  case trapezoid
  /// 1, then 0.1 after half of the run and 0.01 after three quarters.
  case step

  /// - Parameters:
  ///   - progress: the part of the run that is done, in `0...1`.
  ///   - warmup: the part of the run over which the factor rises linearly from 0, less than all of it.
  package func factor(at progress: Double, warmup: Double = 0) -> Double {
    if progress < warmup { return progress / warmup }
    let rest = (progress - warmup) / (1 - warmup)
    switch self {
    case .cosine: return 0.5 * (1 + cos(.pi * min(1, rest)))
    case .trapezoid: return min(1, (1 - min(1, rest)) / 0.6)
    case .step: return rest < 0.5 ? 1 : rest < 0.75 ? 0.1 : 0.01
    }
  }
}
