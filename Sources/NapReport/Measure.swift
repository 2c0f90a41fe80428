/// What the percentages of a report are.
public enum Measure: String, Codable, Sendable {
  /// The share of examples whose largest logit is what the label says.
  case accuracy
  /// How far the worst output agrees with another network's, see `OutputReport`.
  case agreement

  public init(isLabelled: Bool) { self = isLabelled ? .accuracy : .agreement }
}
