import Foundation
import NapData
import NapGraph
import NapKernels
import NapPruning
public import NapReport
import NapSearch
import NapTensor
import NapTraining

/// How well allocators that try networks before these are trained know what comes of them: networks of random widths
/// and one cost, each fine-tuned alike, against what each provider of weights and NAP's predicted loss said before.
public struct ProxyStudy: Sendable {
  /// The job; its goal and epochs are replaced.
  public var pruning: Pruning
  /// The share of the multiply-accumulates that all networks have.
  public var macs = 0.5
  /// Networks.
  public var structures = 24
  /// Epochs of fine-tuning each of them.
  public var epochs = 3

  public init(_ pruning: Pruning) { self.pruning = pruning }

  /// - Parameters:
  ///   - network: the trained network.
  ///   - directory: where what is done is kept, to go on when it was stopped.
  ///   - progress: sees every step; what it throws stops the work.
  public func run(
    _ network: Network, in directory: RunDirectory? = nil,
    progress: @escaping ProgressHandler = { _ in }
  ) throws -> ProxyReport {
    let journal = directory?.journal ?? Journal()
    let progress = directory?.recording(progress) ?? progress
    var pruning = pruning
    pruning.goal = .macs(macs)
    pruning.epochs = epochs
    pruning.seconds = nil
    var session = try pruning.prepared(
      network, journal: journal, directory: nil, start: journal.elapsed, progress: progress
    ).session
    // All are judged by held-out images, so none is trained on them.
    session.trainable = session.training
    let space = try WidthSpace(session.original, cost: .macs, rounding: .single)
    let whole = space.cost(of: space.full)
    let widths = try randomWidths(space, budget: Int(macs * Double(whole)), session.seed)
    var proxies = try self.proxies(widths, space, session)
    let accuracies = try widths.enumerated().map { index, widths in
      try journal.step("network \(index + 1)") {
        try accuracy(widths, space, session.part(index + 1, of: structures, kind: "network"))
      }
    }
    for index in proxies.indices {
      proxies[index].tau = kendallTau(proxies[index].scores, accuracies)
    }
    var report = ProxyReport(
      structures: zip(widths, accuracies).map {
        ProxyReport.Structure(
          widths: $0, macs: Double(space.cost(of: $0)) / Double(max(1, whole)), accuracy: $1)
      }, proxies: proxies, epochs: epochs)
    report.measure = Measure(session.outputs, isLabelled: session.validation.isLabelled)
    return report
  }

  private func randomWidths(_ space: WidthSpace, budget: Int, _ seed: Seed) throws -> [[Int]] {
    var random = seed.derived("structures").generator()
    return try (0..<structures).map { _ in
      let shares = space.full.map { _ in 0.2 + 0.8 * Double(random.uniform()) }
      guard let widths = space.scaled(shares, to: budget) else { throw AllocationError() }
      return widths
    }
  }

  /// What is said of all networks before they are trained.
  private func proxies(_ widths: [[Int]], _ space: WidthSpace, _ session: PruningSession) throws
    -> [ProxyReport.Proxy]
  {
    let evidence = NetworkEvidence(session, session.original, space)
    func proxy(
      _ name: String, _ prepare: () throws -> Void, _ score: ([Int]) throws -> Double
    ) throws -> ProxyReport.Proxy {
      try session.journal.step(name) {
        let preparation = try session.journal.timed(prepare)
        var scores: [Double] = []
        let seconds = try session.journal.timed {
          for widths in widths {
            scores.append(try score(widths))
            try evidence.report(nil, step: scores.count, of: structures)
          }
        }
        return ProxyReport.Proxy(
          name: name, tau: 0, seconds: seconds / Double(structures), preparation: preparation,
          scores: scores)
      }
    }
    return try [
      proxy("predicted loss", { try evidence.prepare(.compensated) }) {
        -(try evidence.predictedLoss(of: $0))
      }
    ]
      + WeightSource.allCases.map { source in
        try proxy("\(source.rawValue) weights", { try evidence.prepare(source) }) {
          -(try evidence.score($0, weights: source).loss)
        }
      }
  }

  /// In percent, on held-out images, after fine-tuning.
  private func accuracy(_ widths: [Int], _ space: WidthSpace, _ session: PruningSession) throws
    -> Double
  {
    let cut = try session.cut(
      PruningSession.State(graph: session.original), cost: .macs, downTo: 0,
      keeping: space.goals(of: widths), round: 0)
    let trained = try session.recovered(cut, recipe: session.recipe(.epochs(epochs)))
    return try session.measure(trained.graph, on: session.validation).accuracy
  }
}

/// How far two orders agree: the share of pairs in the same order less that of pairs in the other, with ties (tau-b).
package func kendallTau(_ a: [Double], _ b: [Double]) -> Double {
  precondition(a.count == b.count)
  var (sum, untiedA, untiedB) = (0.0, 0.0, 0.0)
  for i in a.indices {
    for j in 0..<i {
      let x = a[i] == a[j] ? 0.0 : a[i] > a[j] ? 1 : -1
      let y = b[i] == b[j] ? 0.0 : b[i] > b[j] ? 1 : -1
      sum += x * y
      untiedA += abs(x)
      untiedB += abs(y)
    }
  }
  return untiedA > 0 && untiedB > 0 ? sum / (untiedA * untiedB).squareRoot() : 0
}
