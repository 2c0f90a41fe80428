/// A level of pruning that was tried, and what it cost.
package struct Trial: Sendable, Hashable {
  /// The share that was kept, in `0...1`.
  package var level: Double
  /// Accuracy lost on held-out images, in percentage points.
  package var drop: Double

  package init(level: Double, drop: Double) {
    self.level = level
    self.drop = drop
  }
}

/// Goes down step by step while the loss of accuracy is acceptable; after a step too far it goes
/// back and takes a smaller one, once.
package struct StepwiseDescent: Sendable {
  /// What a step keeps of the level before.
  package let factor: Double
  /// Percentage points.
  package let allowedDrop: Double

  package init(factor: Double, allowedDrop: Double) {
    self.factor = factor
    self.allowedDrop = allowedDrop
  }

  package func accepts(_ trial: Trial) -> Bool { trial.drop <= allowedDrop }

  /// The level to try next, from the last accepted one; `nil` when the search is over.
  package func next(after trials: [Trial]) -> Double? {
    let level = trials.last(where: accepts)?.level ?? 1
    switch trials.filter({ !accepts($0) }).count {
    case 0: return level * factor
    case 1: return trials.last.map(accepts) ?? true ? nil : level * factor.squareRoot()
    default: return nil
    }
  }
}
