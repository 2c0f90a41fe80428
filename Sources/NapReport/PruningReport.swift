/// What pruning did to a network.
public struct PruningReport: Report, Sendable, Equatable {
  /// What is left of one layer with a weight.
  public struct Layer: Codable, Sendable, Equatable {
    public var name: String
    public var type: String
    public var shapeBefore: [Int]
    /// Of its weight; empty where the layer is gone as a whole.
    public var shapeAfter: [Int]
    public var macsBefore: Int
    public var macsAfter: Int
    /// Weights that are not zero.
    public var nonzeroAfter: Int

    public init(
      name: String, type: String, shapeBefore: [Int], shapeAfter: [Int], macsBefore: Int,
      macsAfter: Int,
      nonzeroAfter: Int
    ) {
      self.name = name
      self.type = type
      self.shapeBefore = shapeBefore
      self.shapeAfter = shapeAfter
      self.macsBefore = macsBefore
      self.macsAfter = macsAfter
      self.nonzeroAfter = nonzeroAfter
    }

    /// The shape of the weight, as people read it.
    var widthsAfter: String { shapeAfter.isEmpty ? "gone" : described(shapeAfter) }

    enum CodingKeys: String, CodingKey {
      case name, type
      case shapeBefore = "shape_before"
      case shapeAfter = "shape_after"
      case macsBefore = "macs_before"
      case macsAfter = "macs_after"
      case nonzeroAfter = "nonzero_after"
    }
  }

  /// A network on the way, with its accuracy on held-out training images.
  public struct Point: Codable, Sendable, Equatable {
    /// Shares of the original network, in `0...1`.
    public var macs: Double
    public var parameters: Double
    /// Percent, on held-out training images.
    public var accuracy: Double
    /// What that is; `nil` is accuracy.
    public var measure: Measure?

    public init(macs: Double, parameters: Double, accuracy: Double) {
      self.macs = macs
      self.parameters = parameters
      self.accuracy = accuracy
    }
  }

  /// What one round of removals was predicted to cost, before any training made up for it.
  public struct Removal: Codable, Sendable, Equatable {
    /// Channels that went, those that go together counted once.
    public var units: Int
    /// Sum of what every one was predicted to add to the loss when it went, in nats per example.
    public var loss: Double
    /// Of the one that would have gone next.
    public var nextLoss: Double?
    /// Nodes that residual branches were added by that went as wholes; `nil` for none.
    public var branches: [String]?

    public init(units: Int, loss: Double, nextLoss: Double?, branches: [String]? = nil) {
      self.units = units
      self.branches = branches
      self.loss = loss
      self.nextLoss = nextLoss
    }

    enum CodingKeys: String, CodingKey {
      case units, loss, branches
      case nextLoss = "next_loss"
    }
  }

  /// What a program of the user's says of the network before and after; more is better.
  public struct Metric: Codable, Sendable, Equatable {
    public var command: String
    public var before: Double
    public var after: Double

    public init(command: String, before: Double, after: Double) {
      (self.command, self.before, self.after) = (command, before, after)
    }
  }

  /// Bytes of a network's file.
  public struct FileSizes: Codable, Sendable, Equatable {
    public var plain: Int
    /// As gzip compresses it.
    public var compressed: Int
    /// With weights of zeros mostly as lists of what is not zero, see `--sparse`.
    public var sparse: Int
    public var sparseCompressed: Int

    public init(plain: Int, compressed: Int, sparse: Int, sparseCompressed: Int) {
      self.plain = plain
      self.compressed = compressed
      self.sparse = sparse
      self.sparseCompressed = sparseCompressed
    }

    enum CodingKeys: String, CodingKey {
      case plain, sparse, compressed
      case sparseCompressed = "sparse_compressed"
    }
  }

  /// Milliseconds of a batch before and after.
  public struct Latency: Codable, Sendable, Equatable {
    public var batchSize: Int
    /// As nap's engine takes them on this machine.
    public var measuredBefore: Double
    public var measuredAfter: Double
    /// Half of the range in which the middle half of the runs lies.
    public var spreadBefore: Double?
    public var spreadAfter: Double?
    /// How often each was measured, in turns.
    public var runs: Int?
    public var threads: Int?
    public var precision: String?
    /// As the table of latencies has them, where the time was the goal.
    public var predictedBefore: Double?
    public var predictedAfter: Double?

    public init(batchSize: Int, measuredBefore: Double, measuredAfter: Double) {
      self.batchSize = batchSize
      self.measuredBefore = measuredBefore
      self.measuredAfter = measuredAfter
    }

    enum CodingKeys: String, CodingKey {
      case batchSize = "batch_size"
      case measuredBefore = "measured_before"
      case measuredAfter = "measured_after"
      case spreadBefore = "spread_before"
      case spreadAfter = "spread_after"
      case runs, threads, precision
      case predictedBefore = "predicted_before"
      case predictedAfter = "predicted_after"
    }
  }

  /// Percent, on the test split; of data without labels, how far the worst output agrees with the original.
  public var accuracyBefore: Double
  public var accuracyAfter: Double
  public var macsBefore: Int
  public var macsAfter: Int
  public var parametersBefore: Int
  public var parametersAfter: Int
  /// Parameters that are not zero.
  public var nonzeroAfter: Int
  public var layers: [Layer]
  /// Networks that were validated on the way to the result.
  public var curve: [Point]
  public var seconds: Double
  /// Whether the written network gives what the masked original gives (channels), or keeps every
  /// removed weight at zero (weights).
  public var verified: Bool
  public var criterion: String
  /// What has decided how wide layers are; `nil` where the criterion's ranking has.
  public var allocator: String?
  public var allocation: AllocationReport?
  public var granularity: String
  public var seed: UInt64
  /// What `accuracyBefore` and `accuracyAfter` are.
  public var measure = Measure.accuracy
  /// What was asked for: `macs`, `parameters`, `latency`, `sparsity`, `max_drop`, or a pattern.
  public var goal: String?
  /// The share, sparsity or percentage points that were asked for.
  public var goalValue: Double?
  /// How many examples `accuracyAfter` is of, and whether they are of a test split.
  public var examples: Int?
  public var isTest: Bool?
  /// The multiple of channels that was asked for, where one was.
  public var multiple: Int?
  /// Where channels have gone.
  public var latency: Latency?
  /// By round, where the criterion predicts losses.
  public var removals: [Removal]?
  /// What examples cost where each decides which channels it needs; `macsAfter` is the mean then.
  public var dynamic: DynamicReport?
  /// Axes on which channels could not go, and why.
  public var frozen: [ProfileReport.Frozen]?
  /// Of the files; `nil` for networks too large for one.
  public var bytesBefore: Int?
  public var bytesAfter: Int?
  /// What every output is, and how far the result agrees with the original.
  public var outputs: [OutputReport] = []
  /// What filters respond to; `nil` where they were not compared by that.
  public var functions: [FunctionReport]?
  /// In several forms, where single weights have gone.
  public var sparseBytes: FileSizes?
  /// What the user's own metric says.
  public var metric: Metric?

  /// How images became numbers, and who said so.
  public var preparation: String?

  public init(
    accuracyBefore: Double, accuracyAfter: Double, macsBefore: Int, macsAfter: Int,
    parametersBefore: Int,
    parametersAfter: Int, nonzeroAfter: Int, layers: [Layer], curve: [Point], seconds: Double,
    verified: Bool, criterion: String, granularity: String, seed: UInt64
  ) {
    self.accuracyBefore = accuracyBefore
    self.accuracyAfter = accuracyAfter
    self.macsBefore = macsBefore
    self.macsAfter = macsAfter
    self.parametersBefore = parametersBefore
    self.parametersAfter = parametersAfter
    self.nonzeroAfter = nonzeroAfter
    self.layers = layers
    self.curve = curve
    self.seconds = seconds
    self.verified = verified
    self.criterion = criterion
    self.granularity = granularity
    self.seed = seed
  }

  enum CodingKeys: String, CodingKey {
    case latency, removals, dynamic, frozen, layers, curve, functions, seconds, verified, outputs, criterion, allocator, allocation, granularity, seed, goal, measure, metric, preparation
    case multiple = "round"
    case examples
    case goalValue = "goal_value"
    case isTest = "on_test_split"
    case bytesBefore = "bytes_before"
    case bytesAfter = "bytes_after"
    case sparseBytes = "file_sizes"
    case accuracyBefore = "accuracy_before"
    case accuracyAfter = "accuracy_after"
    case macsBefore = "macs_before"
    case macsAfter = "macs_after"
    case parametersBefore = "parameters_before"
    case parametersAfter = "parameters_after"
    case nonzeroAfter = "nonzero_after"
  }
}
