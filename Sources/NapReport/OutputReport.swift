/// What an output, or some channels of one, is, and how far a network agrees there with another one.
public struct OutputReport: Codable, Sendable, Equatable {
  public var name: String
  /// Such as `logits` or `numbers`.
  public var kind: String
  /// Along which meanings differ, the batch counted as axis 0.
  public var axis: Int
  public var firstChannel: Int
  public var channels: Int
  /// Why it was taken for that.
  public var reason: String
  /// `0...1`: the share of equal decisions, the cosine, or what is explained of the variance.
  public var agreement: Double
  /// That were compared.
  public var examples: Int
  /// The share of equal decisions.
  public var equalDecisions: Double?
  /// The mean cosine of the angle between vectors.
  public var cosine: Double?
  /// The share of a channel's variance over the data that is explained (R²): the mean over the channels,
  /// and the least.
  public var explained: Double?
  public var leastExplained: Double?
  public var leastExplainedChannel: Int?

  public init(
    name: String, kind: String, axis: Int, firstChannel: Int, channels: Int, reason: String,
    agreement: Double, examples: Int
  ) {
    self.name = name
    self.kind = kind
    self.axis = axis
    self.firstChannel = firstChannel
    self.channels = channels
    self.reason = reason
    self.agreement = agreement
    self.examples = examples
  }

  enum CodingKeys: String, CodingKey {
    case name, kind, axis, channels, reason, agreement, examples, cosine, explained
    case firstChannel = "first_channel"
    case equalDecisions = "equal_decisions"
    case leastExplained = "least_explained"
    case leastExplainedChannel = "least_explained_channel"
  }
}
