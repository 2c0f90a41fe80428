/// What a network is worth on a data set.
public struct EvaluationReport: Codable, Sendable, Equatable {
  /// Percent of the images whose largest logit is the right one.
  public var accuracy: Double
  /// Mean cross-entropy, in nats.
  public var loss: Double
  public var count: Int
  public var imagesPerSecond: Double

  public init(accuracy: Double, loss: Double, count: Int, imagesPerSecond: Double) {
    self.accuracy = accuracy
    self.loss = loss
    self.count = count
    self.imagesPerSecond = imagesPerSecond
  }

  enum CodingKeys: String, CodingKey {
    case accuracy, loss, count
    case imagesPerSecond = "images_per_second"
  }
}
