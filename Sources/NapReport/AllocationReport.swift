/// How wide an allocator has decided that layers are, and why.
public struct AllocationReport: Codable, Sendable, Equatable {
  /// Channels that are pruned together, and how many stay.
  public struct Set: Codable, Sendable, Equatable {
    /// The first layer that computes them.
    public var layer: String
    public var before: Int
    public var after: Int

    public init(layer: String, before: Int, after: Int) {
      (self.layer, self.before, self.after) = (layer, before, after)
    }
  }

  /// A network that was tried and that no other one beats in both cost and loss.
  public struct Candidate: Codable, Sendable, Equatable {
    /// Of the sets, in their order.
    public var widths: [Int]
    /// The share of the original's cost.
    public var cost: Double
    /// Nats per example on held-out images, before any training.
    public var loss: Double

    public init(widths: [Int], cost: Double, loss: Double) {
      (self.widths, self.cost, self.loss) = (widths, cost, loss)
    }
  }

  public var allocator: String
  public var sets: [Set]
  /// How alike the features of sets are (nHSIC), in the order of `sets`; where that has decided.
  public var similarity: [[Double]]?
  /// By cost, where candidates were tried.
  public var front: [Candidate]?

  public init(allocator: String, sets: [Set]) {
    (self.allocator, self.sets) = (allocator, sets)
  }
}
