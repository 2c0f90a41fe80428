/// What networks of several sizes are worth, by criterion and allocator.
public struct ComparisonReport: Report, Sendable, Equatable {
  public struct Point: Codable, Sendable, Equatable {
    /// Shares of the original network, in `0...1`.
    public var macs: Double
    public var parameters: Double
    /// Percent, on the test split, or on held-out examples where there is none.
    public var accuracy: Double
    public var seconds: Double

    public init(macs: Double, parameters: Double, accuracy: Double, seconds: Double) {
      self.macs = macs
      self.parameters = parameters
      self.accuracy = accuracy
      self.seconds = seconds
    }
  }

  public struct Curve: Codable, Sendable, Equatable {
    public var criterion: String
    /// `nil` where the criterion's ranking of all channels has decided widths.
    public var allocator: String?
    public var points: [Point]

    /// How the curve is called.
    public var name: String { [criterion, allocator].compactMap { $0 }.joined(separator: ", ") }

    public init(criterion: String, allocator: String? = nil, points: [Point]) {
      self.criterion = criterion
      self.allocator = allocator
      self.points = points
    }
  }

  /// Percent, on the test split, or on held-out examples where there is none.
  public var accuracyBefore: Double
  public var curves: [Curve]
  /// What accuracies are.
  public var measure = Measure.accuracy
  /// How many points are missing, because the work was stopped; `nil` where it was done.
  public var jobsLeft: Int?

  public init(accuracyBefore: Double, curves: [Curve]) {
    self.accuracyBefore = accuracyBefore
    self.curves = curves
  }

  enum CodingKeys: String, CodingKey {
    case curves, measure
    case accuracyBefore = "accuracy_before"
    case jobsLeft = "jobs_left"
  }
}
