public import NapReport

/// How far a stage of a long piece of work has come.
public struct WorkProgress: Sendable {
  /// What is being done, such as `training`.
  public var stage: String
  /// Which of several times it is done, such as `round 2 of 4`.
  public var part: String?
  public var step: Int
  public var steps: Int
  /// Examples that went through the network in this stage so far.
  public var images: Int
  /// How long the stage still takes, where that is known.
  public var secondsLeft: Double?
  /// How long the whole job still takes, where that is known.
  public var jobSecondsLeft: Double?
  /// Mean over the epoch or evaluation so far, in nats.
  public var loss: Double?
  /// Percent, over the epoch or evaluation so far.
  public var score: Double?
  /// What `score` is: accuracy, say, or, without labels, how far the worst output agrees with the original's.
  public var measure: Measure
  /// Something worth a line of its own.
  public var message: String?
  /// What was measured once: of an epoch, a round, a candidate.
  public var measured: Measured?

  /// Numbers by name, such as the loss of an epoch.
  public struct Measured: Sendable {
    public var kind: String
    public var name: String
    public var values: [String: Double]
  }

  public init(
    stage: String, step: Int = 0, steps: Int = 0, images: Int = 0, secondsLeft: Double? = nil,
    loss: Double? = nil, score: Double? = nil, measure: Measure = .accuracy,
    message: String? = nil
  ) {
    self.stage = stage
    self.step = step
    self.steps = steps
    self.images = images
    self.secondsLeft = secondsLeft
    self.loss = loss
    self.score = score
    self.measure = measure
    self.message = message
  }
}

/// Sees every step of a long piece of work; what it throws stops the work.
public typealias ProgressHandler = (WorkProgress) throws -> Void
