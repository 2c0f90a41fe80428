/// How a training run ended.
public struct TrainingReport: Report, Sendable, Equatable {
  /// Percent, on the test split; absent where the data has none.
  public var accuracy: Double?
  /// What `accuracy` is.
  public var measure = Measure.accuracy
  /// Mean cross-entropy on the test split, in nats.
  public var loss: Double?
  public var epochs: Int
  public var parameters: Int
  public var macs: Int
  public var imagesPerSecond: Double
  public var seconds: Double

  public init(
    accuracy: Double?, loss: Double?, epochs: Int, parameters: Int, macs: Int,
    imagesPerSecond: Double,
    seconds: Double
  ) {
    self.accuracy = accuracy
    self.loss = loss
    self.epochs = epochs
    self.parameters = parameters
    self.macs = macs
    self.imagesPerSecond = imagesPerSecond
    self.seconds = seconds
  }

  enum CodingKeys: String, CodingKey {
    case accuracy, measure, loss, epochs, parameters, macs, seconds
    case imagesPerSecond = "images_per_second"
  }
}
