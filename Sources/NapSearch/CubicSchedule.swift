/// How the removed share grows over a gradual run: fast at first, when much is redundant.
///
/// - Source: Zhu & Gupta 2017, arXiv:1710.01878.
package func cubicSchedule(_ progress: Double, target: Double) -> Double {
  let rest = 1 - min(1, max(0, progress))
  return target * (1 - rest * rest * rest)
}
