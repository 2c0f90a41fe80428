import Foundation
import NapTensor

/// How long a network is trained.
enum TrainingLength: Hashable {
  case epochs(Int)
  case seconds(Double)

  var isEmpty: Bool {
    switch self {
    case .epochs(let epochs): epochs <= 0
    case .seconds(let seconds): seconds <= 0
    }
  }
}

/// The time the user gives, shared out among collecting, cutting and training as it goes by.
struct Budget {
  /// Of the whole job, in seconds.
  let seconds: Double
  /// Of what is to be done next.
  private var own: Double
  private let journal: Journal
  /// When the job began, by the journal.
  private let start: Double
  /// Kept for measuring the result.
  private let reserve: Double

  /// - Parameter reserve: seconds that measuring the result takes.
  /// - Throws: `UsageError` when that leaves no time for anything else.
  init(seconds: Double, of journal: Journal, since start: Double, reserve: Double) throws {
    guard 3 * reserve < seconds else {
      throw UsageError(
        String(
          format: "measuring the network takes %.0f s each time, so %.0f s are not enough", reserve,
          seconds),
        recovery: "give more --time")
    }
    (self.seconds, own) = (seconds, seconds)
    self.journal = journal
    self.start = start
    self.reserve = reserve
  }

  /// The same, of which a share of what is left is for what is to be done next.
  func first(_ share: Double) -> Budget {
    var result = self
    result.own -= (1 - share) * left
    return result
  }

  /// Seconds that are left to work with.
  var left: Double { max(0, own - reserve - (journal.elapsed - start)) }

  /// Seconds that are left of the whole job.
  var jobLeft: Double { max(0, seconds - (journal.elapsed - start)) }

  var rest: TrainingLength { .seconds(left) }

  /// A part of the whole, if it is left.
  func part(_ share: Double) -> TrainingLength { .seconds(min(left, share * own)) }

  var isInFirstHalf: Bool { left > own / 2 }

  /// How often something that takes so many seconds may be done, besides training; once at least.
  func affordable(_ seconds: Double) -> Int {
    max(1, Int(Self.preparingShare * left / max(1e-3, seconds)))
  }

  /// Images that curvature can be collected from in a small part of the time, given how many a second
  /// the network is evaluated on: it takes about 25 times as long, with the images that these are
  /// drawn from and with trying removals.
  func imagesOfCurvature(_ evaluatedPerSecond: Double) -> Double {
    0.05 * left * min(evaluatedPerSecond, 1e9) / Self.collectingFactor
  }

  /// How much longer than an evaluation it takes to collect curvature, by image.
  static let collectingFactor = 25.0

  /// Of what is left, for curvature and choosing.
  private static let preparingShare = 0.2
}

/// How long something takes, by several runs, in seconds.
struct MeasuredTime {
  let median: Double
  /// Half of the range in which the middle half of the runs lies.
  let spread: Double
  let runs: Int

  /// - Parameter times: of the runs; one at least.
  init(_ times: [Double]) {
    let sorted = times.sorted()
    runs = sorted.count
    median = sorted[runs / 2]
    spread = (sorted[3 * runs / 4] - sorted[runs / 4]) / 2
  }
}

/// How long some things take, by rounds in which they take turns, because machines change their speed.
///
/// - Parameter seconds: after which there are no more rounds than there have to be.
func measuredTimes(of bodies: [() -> Void], rounds: ClosedRange<Int>, seconds: Double)
  -> [MeasuredTime]
{
  var times = bodies.map { _ in [Double]() }
  let start = ContinuousClock.now
  while times[0].count < rounds.lowerBound
    || times[0].count < rounds.upperBound && ContinuousClock.now - start < .seconds(seconds)
  {
    for (index, body) in bodies.enumerated() { times[index].append(timed(body)) }
  }
  return times.map(MeasuredTime.init)
}

/// How long something takes, in seconds.
func timed(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  return try clock.measure(body) / .seconds(1)
}
