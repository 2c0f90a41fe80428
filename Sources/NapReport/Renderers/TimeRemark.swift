import Foundation

extension PruningReport.Latency {
  /// Whether the times differ by more than they vary, as far as that is known.
  var differs: Bool {
    guard let spreadBefore, let spreadAfter else { return true }
    return abs(measuredAfter - measuredBefore) > spreadBefore + spreadAfter
  }

  var before: String { Self.text(measuredBefore, spreadBefore) }
  var after: String { Self.text(measuredAfter, spreadAfter) }

  private static func text(_ median: Double, _ spread: Double?) -> String {
    String(format: "%.3f", median) + (spread.map { String(format: " ± %.3f", $0) } ?? "")
  }

  /// How it was measured; `nil` where that is not known.
  var circumstances: String? {
    guard let runs, let threads, let precision else { return nil }
    return
      "Measured in nap's engine: medians of \(runs) runs in turns ± half of their interquartile range, batch \(batchSize), \(threads) \(threads == 1 ? "thread" : "threads"), \(precision)."
  }
}

extension PruningReport {
  /// What the measured times say that MACs do not, and what helps, by what was asked for; `nil` where they
  /// went down as MACs did.
  public var timeRemark: String? {
    guard let latency, latency.measuredBefore > Self.shortest, macsAfter < macsBefore else {
      return nil
    }
    let time = latency.measuredAfter / max(1e-9, latency.measuredBefore)
    let macs = Double(macsAfter) / Double(max(1, macsBefore))
    guard latency.differs else {
      return String(
        format:
          "Whether it is faster here cannot be told: %@ ms instead of %@, with %.0f %% of the MACs.",
        latency.after, latency.before, 100 * macs)
    }
    let isSlower = time > Self.noticed
    guard isSlower || 1 - time < 0.3 * (1 - macs) else { return nil }
    let fact = String(
      format: "%@ here: %.3f ms instead of %.3f, with %.0f %% of the MACs.",
      isSlower ? "SLOWER than before" : "Hardly faster", latency.measuredAfter,
      latency.measuredBefore, 100 * macs)
    return fact + advice(share: macs)
  }

  private func advice(share: Double) -> String {
    if goal == "latency" {
      guard let predicted = latency?.predictedAfter, let measured = latency?.measuredAfter,
        measured > 1.15 * predicted
      else { return "" }
      return String(
        format: " The latencies that were decided by say %.3f ms: they are of another machine.",
        predicted)
    }
    if let multiple, multiple < Self.blocks {
      return
        " Processors compute channels in blocks: leave out --round \(multiple), or give a larger one."
    }
    return String(
      format: " Not all MACs take the same time: --latency %.2f removes by measured time.",
      min(share, 0.99))
  }

  /// Of the time before; less is noise.
  private static let noticed = 1.03
  /// Milliseconds; of less, it is the call that takes the time.
  private static let shortest = 0.02
  /// Channels that processors compute at once.
  private static let blocks = 8
}
