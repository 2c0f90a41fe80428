/// How well an output has learned its task, in one of the terms that its user knows.
public struct MetricReport: Codable, Sendable, Hashable {
  /// The output's name.
  public var output: String
  /// Such as `top 5` or `perplexity`.
  public var name: String
  /// In percent where `isShare`.
  public var value: Double
  public var isShare: Bool

  public init(output: String, name: String, value: Double, isShare: Bool) {
    (self.output, self.name, self.value, self.isShare) = (output, name, value, isShare)
  }

  enum CodingKeys: String, CodingKey {
    case output, name, value
    case isShare = "is_share"
  }
}
