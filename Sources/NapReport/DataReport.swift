/// What was understood of a data set, and whether a network fits it.
public struct DataReport: Report, Sendable, Equatable {
  /// One of the arrays that every example has.
  public struct Array: Codable, Sendable, Equatable {
    public var name: String
    /// Of one example.
    public var shape: [Int]
    /// `floats`, `integers` or `images`.
    public var kind: String
    /// Of the numbers, over some examples: of inputs, as the network gets them.
    public var least: Double
    public var largest: Double
    public var mean: Double
    public var deviation: Double

    public init(
      name: String, shape: [Int], kind: String, least: Double, largest: Double, mean: Double,
      deviation: Double
    ) {
      self.name = name
      self.shape = shape
      self.kind = kind
      self.least = least
      self.largest = largest
      self.mean = mean
      self.deviation = deviation
    }
  }

  /// A class, and how many examples of it each split has.
  public struct Class: Codable, Sendable, Equatable {
    public var name: String
    public var counts: [Int]

    public init(name: String, counts: [Int]) { (self.name, self.counts) = (name, counts) }
  }

  /// `train` and `test`, as far as there are any, and their examples.
  public var splits: [String]
  public var counts: [Int]
  public var inputs: [Array]
  public var targets: [Array]
  /// Empty where examples have no class each.
  public var classes: [Class]
  /// How images become numbers.
  public var preparation: String
  /// What every output of the network learns; empty without one.
  public var outputs: [String]
  /// What is odd.
  public var remarks: [String]
  /// Why network and data do not fit; `nil` where they do, or there is no network.
  public var misfit: String?

  public init(
    splits: [String], counts: [Int], inputs: [Array], targets: [Array], classes: [Class],
    preparation: String, outputs: [String] = [], remarks: [String] = [], misfit: String? = nil
  ) {
    self.splits = splits
    self.counts = counts
    self.inputs = inputs
    self.targets = targets
    self.classes = classes
    self.preparation = preparation
    self.outputs = outputs
    self.remarks = remarks
    self.misfit = misfit
  }
}
