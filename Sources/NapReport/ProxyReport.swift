/// How well the worth of a network before training tells its worth afterwards.
public struct ProxyReport: Report, Sendable, Equatable {
  /// A way to tell before training how good a network of some widths is going to be.
  public struct Proxy: Codable, Sendable, Equatable {
    public var name: String
    /// Kendall's tau-b with the accuracy after fine-tuning: 1 where all pairs of networks are in the right order.
    public var tau: Double
    /// Seconds that one network takes.
    public var seconds: Double
    /// Seconds that it takes once for all networks, such as to train shared weights.
    public var preparation: Double
    /// Of the structures, in their order; more is better.
    public var scores: [Double]

    public init(
      name: String, tau: Double, seconds: Double, preparation: Double, scores: [Double]
    ) {
      (self.name, self.tau, self.seconds) = (name, tau, seconds)
      (self.preparation, self.scores) = (preparation, scores)
    }
  }

  /// A network of random widths.
  public struct Structure: Codable, Sendable, Equatable {
    public var widths: [Int]
    /// The share of the original's multiply-accumulates.
    public var macs: Double
    /// Percent, on held-out images, after the same fine-tuning of each.
    public var accuracy: Double

    public init(widths: [Int], macs: Double, accuracy: Double) {
      (self.widths, self.macs, self.accuracy) = (widths, macs, accuracy)
    }
  }

  public var structures: [Structure]
  public var proxies: [Proxy]
  public var epochs: Int
  public var measure = Measure.accuracy

  public init(structures: [Structure], proxies: [Proxy], epochs: Int) {
    (self.structures, self.proxies, self.epochs) = (structures, proxies, epochs)
  }
}
