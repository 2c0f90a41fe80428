/// How well criteria predict what removing channels does.
public struct SensitivityReport: Report, Sendable, Equatable {
  /// A criterion and its agreement with the measurement.
  public struct Criterion: Codable, Sendable, Equatable {
    public var name: String
    /// Spearman's, over all channels that were tried.
    public var rankCorrelation: Double
    /// The same within each set of channels, averaged over the sets.
    public var correlationBySet: Double

    public init(name: String, rankCorrelation: Double, correlationBySet: Double) {
      self.name = name
      self.rankCorrelation = rankCorrelation
      self.correlationBySet = correlationBySet
    }

    enum CodingKeys: String, CodingKey {
      case name
      case rankCorrelation = "rank_correlation"
      case correlationBySet = "rank_correlation_by_set"
    }
  }

  /// Channels on the same axes.
  public struct Set: Codable, Sendable, Equatable {
    /// Layers that compute them.
    public var layers: [String]
    /// How many were tried.
    public var channels: Int
    /// Mean increase of the loss when one is removed, in nats.
    public var loss: Double?
    /// The same when the other weights make up for it.
    public var compensatedLoss: Double?

    public init(layers: [String], channels: Int, loss: Double?, compensatedLoss: Double?) {
      self.layers = layers
      self.channels = channels
      self.loss = loss
      self.compensatedLoss = compensatedLoss
    }

    enum CodingKeys: String, CodingKey {
      case layers, channels, loss
      case compensatedLoss = "compensated_loss"
    }
  }

  /// One channel that was tried.
  public struct Trial: Codable, Sendable, Equatable {
    /// Index into `sets`.
    public var set: Int
    /// Increase of the loss when it is removed, in nats.
    public var loss: Double?
    /// The same when the other weights make up for it.
    public var compensatedLoss: Double?
    /// By criterion.
    public var predicted: [String: Double]

    public init(set: Int, loss: Double?, compensatedLoss: Double?, predicted: [String: Double]) {
      self.set = set
      self.loss = loss
      self.compensatedLoss = compensatedLoss
      self.predicted = predicted
    }

    enum CodingKeys: String, CodingKey {
      case set, loss, predicted
      case compensatedLoss = "compensated_loss"
    }
  }

  /// The best first.
  public var criteria: [Criterion]
  public var sets: [Set]
  /// Images the loss was measured on.
  public var images: Int
  public var trials: [Trial]

  public init(criteria: [Criterion], sets: [Set], images: Int, trials: [Trial]) {
    self.criteria = criteria
    self.sets = sets
    self.images = images
    self.trials = trials
  }
}
