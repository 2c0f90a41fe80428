/// What a batch cost.
package struct LossSum: Codable, Sendable {
  /// Sum over the examples, in nats.
  package var loss = 0.0
  /// Examples that are right; of tasks that are told otherwise, the score times the examples; without
  /// targets, how much of each agrees with the teacher.
  package var correct = 0.0
  package var count = 0
  /// Of agreement, the standard error of the worst output's share of equal decisions; else 0.
  package var standardError = 0.0

  package init() {}

  /// Mean over the examples, in nats.
  package var meanLoss: Double { count == 0 ? 0 : loss / Double(count) }
  /// In percent.
  package var accuracy: Double { count == 0 ? 0 : 100 * correct / Double(count) }
}
