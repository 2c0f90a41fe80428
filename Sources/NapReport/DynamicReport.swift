/// What a network with gates costs, which differs from example to example.
public struct DynamicReport: Codable, Sendable, Equatable {
  /// How a number is spread over examples.
  public struct Spread: Codable, Sendable, Equatable {
    public var mean: Double
    public var median: Double
    /// Of which 95 % of the examples stay below.
    public var percentile95: Double

    public init(_ numbers: [Double]) {
      let sorted = numbers.sorted()
      func quantile(_ share: Double) -> Double {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
      }
      mean = numbers.reduce(0, +) / Double(max(1, numbers.count))
      (median, percentile95) = (quantile(0.5), quantile(0.95))
    }

    enum CodingKeys: String, CodingKey {
      case mean, median
      case percentile95 = "percentile_95"
    }
  }

  /// Some examples, with what they cost and how many are right.
  public struct Group: Codable, Sendable, Equatable {
    public var name: String
    public var examples: Int
    /// Mean share of the multiply-accumulates of the network without gates.
    public var macs: Double
    /// In percent; `nil` where there are no labels.
    public var accuracy: Double?

    public init(name: String, examples: Int, macs: Double, accuracy: Double?) {
      (self.name, self.examples, self.macs, self.accuracy) = (name, examples, macs, accuracy)
    }
  }

  /// Multiply-accumulates of the original network.
  public var whole: Double
  /// As shares of `whole`.
  public var macs: Spread
  /// The least and the most that an example can cost.
  public var least: Double
  public var most: Double
  /// Of saliencies.
  public var threshold: Double
  public var examples: Int
  /// What the cheapest and the dearest example costs, as shares of `whole`.
  public var range: [Double] = []
  /// How many examples lie between twenty equal steps from the cheapest to the dearest.
  public var histogram: [Int] = []
  /// Tenths of the examples, the cheapest first.
  public var deciles: [Group] = []
  public var classes: [Group] = []
  /// Fifths of the examples by the loss, the easiest first.
  public var difficulties: [Group] = []
  /// A picture of the examples that cost least and of those that cost most, in the directory of the run.
  public var sheet: String?
  /// Of one example at a time.
  public var milliseconds: Spread?
  /// Of the network without gates.
  public var millisecondsBefore: Spread?

  public init(
    whole: Double, macs: [Double], least: Double, most: Double, threshold: Double
  ) {
    self.whole = whole
    self.macs = Spread(macs.map { $0 / whole })
    (self.least, self.most) = (least / whole, most / whole)
    self.threshold = threshold
    examples = macs.count
    guard let low = macs.min(), let high = macs.max() else { return }
    range = [low / whole, high / whole]
    histogram = [Int](repeating: 0, count: 20)
    for value in macs { histogram[min(19, Int(20 * (value - low) / max(high - low, 1e-9)))] += 1 }
  }

  enum CodingKeys: String, CodingKey {
    case whole, macs, least, most, threshold, examples, range, histogram, deciles, classes, difficulties,
      sheet, milliseconds
    case millisecondsBefore = "milliseconds_before"
  }
}
