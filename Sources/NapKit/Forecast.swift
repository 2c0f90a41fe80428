import NapReport

/// How long a job still takes whose length is given in rounds and epochs: guessed at first, then by what was
/// measured of it so far.
///
/// Images are those of the whole network: one that a smaller network is trained on counts as `imageShare`.
final class Forecast {
  /// What training on an image costs, by what it costs in the whole network.
  var imageShare = 1.0
  private let journal: Journal
  private var roundsLeft: Int
  /// Seconds of a round of curvature and cutting.
  private var roundSeconds: Double
  private var roundBegan: Double?
  /// Images that are still to be trained on, and seconds of each.
  private var imagesLeft: Double
  private var secondsPerImage: Double
  /// Where the rate of a training is measured from, and where it is.
  private var base: (images: Int, elapsed: Double)?
  /// Seconds of rounds since then.
  private var secondsInRounds = 0.0
  private var last = 0
  /// Networks that an allocator is still to evaluate, and seconds of each.
  private var candidatesLeft: Int
  private var secondsPerCandidate: Double
  private var firstCandidate: (number: Int, elapsed: Double)?
  /// Seconds of measuring the result.
  private let ending: Double

  init(
    of journal: Journal, candidates: Int = 0, secondsPerCandidate: Double = 0, rounds: Int,
    roundSeconds: Double, images: Double, secondsPerImage: Double, ending: Double
  ) {
    self.journal = journal
    candidatesLeft = candidates
    self.secondsPerCandidate = secondsPerCandidate
    roundsLeft = rounds
    self.roundSeconds = roundSeconds
    imagesLeft = images
    self.secondsPerImage = secondsPerImage
    self.ending = ending
  }

  /// Seconds that are left of the job.
  var left: Double {
    let inRound = roundBegan.map { min(journal.elapsed - $0, roundSeconds) } ?? 0
    return Double(candidatesLeft) * secondsPerCandidate + Double(roundsLeft) * roundSeconds
      - inRound + max(0, imagesLeft) * secondsPerImage + ending
  }

  /// Takes in how many candidates have been evaluated, where some were expected.
  func note(candidate: Int, of count: Int) {
    guard candidatesLeft > 0 else { return }
    candidatesLeft = count - candidate
    let first = firstCandidate ?? (candidate, journal.elapsed)
    firstCandidate = first
    let seconds = journal.elapsed - first.elapsed
    if seconds > Self.enough, candidate > first.number {
      secondsPerCandidate = seconds / Double(candidate - first.number)
    }
  }

  /// Says anew what is still to come, where that depends on what was found.
  func expect(rounds: Int, images: Double) { (roundsLeft, imagesLeft) = (rounds, images) }

  /// - Parameter left: rounds, this one among them, where that is not what was expected.
  func beginRound(left: Int? = nil) {
    (roundsLeft, roundBegan) = (left ?? roundsLeft, journal.elapsed)
  }

  /// The other rounds are expected to take as long.
  func endRound(taking seconds: Double) {
    (roundSeconds, roundsLeft, roundBegan) = (seconds, max(0, roundsLeft - 1), nil)
    secondsInRounds += seconds
  }

  /// Takes in how far a training has come.
  func note(images: Int) {
    if let base, images >= last {
      imagesLeft -= Double(images - last) * imageShare
      let seconds = journal.elapsed - base.elapsed - secondsInRounds
      if seconds > Self.enough {
        secondsPerImage = seconds / (Double(images - base.images) * imageShare)
      }
    } else {
      // Of a training that goes on, what was done before.
      imagesLeft -= Double(images) * imageShare
      (base, secondsInRounds) = ((images, journal.elapsed), 0)
    }
    last = images
  }

  /// Seconds that tell a rate.
  private static let enough = 2.0

  /// Before a long job, how long it takes and how to make it shorter.
  var announcement: String? {
    left < Self.long
      ? nil : "about \(duration(left)) in all; fewer --epochs make it shorter, or --time 10m"
  }

  private static let long = 300.0
}

/// How far some jobs of about the same length have come.
final class JobCount {
  let count: Int
  private let journal: Journal
  /// What each may take, if that is given.
  private let limit: Double?
  private let start: Double
  private var done = 0
  /// When the job began that is going on.
  private var began: Double

  init(_ count: Int, each limit: Double?, of journal: Journal) {
    (self.count, self.limit, self.journal) = (count, limit, journal)
    (start, began) = (journal.elapsed, journal.elapsed)
  }

  func endJob() { (done, began) = (done + 1, journal.elapsed) }

  /// Such as `job 3 of 45`.
  var name: String { "job \(min(done + 1, count)) of \(count)" }

  /// Seconds that are left of all.
  ///
  /// - Parameter own: of the job that is going on, where that is known.
  func left(own: Double?) -> Double? {
    let spent = journal.elapsed - began
    guard
      let each = limit ?? (done > 0 ? (began - start) / Double(done) : own.map { spent + $0 })
    else { return nil }
    return Double(max(0, count - done - 1)) * each + (own ?? max(0, each - spent))
  }
}
