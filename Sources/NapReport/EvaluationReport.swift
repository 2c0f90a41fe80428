/// What a network is worth on a data set.
public struct EvaluationReport: Report, Sendable, Equatable {
  /// Percent: what `measure` says of the targets, such as of images whose largest logit is the right one;
  /// beside a teacher, how far the worst output agrees with it.
  public var accuracy: Double
  /// The mean: of the cross-entropy, in nats; beside a teacher, how far outputs are from its own.
  public var loss: Double
  public var count: Int
  public var imagesPerSecond: Double
  /// What `accuracy` is.
  public var measure = Measure.accuracy
  /// How well every output has learned its task.
  public var metrics: [MetricReport] = []
  /// How far every output agrees with the teacher's.
  public var outputs: [OutputReport] = []

  /// What examples cost where each decides which channels it needs.
  public var dynamic: DynamicReport?

  public init(accuracy: Double, loss: Double, count: Int, imagesPerSecond: Double) {
    self.accuracy = accuracy
    self.loss = loss
    self.count = count
    self.imagesPerSecond = imagesPerSecond
  }

  enum CodingKeys: String, CodingKey {
    case accuracy, loss, count, measure, metrics, outputs, dynamic
    case imagesPerSecond = "images_per_second"
  }
}
