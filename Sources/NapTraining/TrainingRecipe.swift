package import NapKernels
package import NapTensor

/// How a network is trained.
package struct TrainingRecipe: Sendable {
  package var epochs = 30
  /// Trains for so many seconds, from when the run is made, instead of a number of epochs.
  package var seconds: Double?
  package var batchSize = 128
  /// The peak of the schedule.
  package var learningRate = 0.1
  package var optimizer = NesterovSGD.Options()
  package var schedule = Schedule.cosine
  /// Epochs over which the learning rate rises from 0; half of the run at most.
  package var warmupEpochs = 0.0
  /// Whether training goes back to the last good state with a quarter of the learning rate where the
  /// loss is no longer a number, or out of hand; three times at most.
  package var lowersRate = false
  package var loss = Objective()
  package var augments = true
  /// The share of another image that every other batch is blended with, at most; the teacher alone
  /// says what blends are, so that a network learns more of it than what it says of images it knows by
  /// heart.
  ///
  /// - Source: Beyer et al. 2022, arXiv:2106.05237.
  package var blending: Float = 0
  /// How many percent of an epoch's images the network gets right before blending starts.
  package var blendsFrom = 0.0
  package var blendsAtOnce: Bool { blending > 0 && blendsFrom <= 0 }
  package var seed = Seed(0)
  package var scalar = Scalar.float32
  /// See `Plan.init`.
  package var savesMemory = false

  package init() {}

  /// Of images that a network knows by heart it learns nothing more; with fewer it is not done yet.
  package mutating func blendOnceImagesAreKnown() {
    blending = 0.5
    blendsFrom = 95
  }
}
