import Foundation
import NapKit
import Testing

@testable import NapReport

/// Shares of time add up to 100 %, as they are printed.
@Suite struct TimingReportTests {
  private func report(_ times: [Double]) -> TimingReport {
    TimingReport(
      entries: times.enumerated().map { index, time in
        var entry = TimingReport.Entry(
          node: nil, step: "step \(index)", implementation: "", layout: nil)
        entry.milliseconds = time
        return entry
      }, milliseconds: 3, imagesPerSecond: 1, arenaBytes: 0)
  }

  @Test(arguments: [
    [1.0], [1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1e-9, 5], [0, 0, 3],
    Array(repeating: 0.7, count: 999),
    (1...57).map { 1 / Double($0) }, [1e9, 1e-9],
  ]) func sharesAddUp(_ times: [Double]) throws {
    let report = report(times)
    let tenths = report.entries.map { Int((10 * $0.share).rounded()) }
    #expect(tenths.reduce(0, +) == 1000)
    let sum = times.reduce(0, +)
    for (entry, time) in zip(report.entries, times) {
      #expect(abs(entry.share - 100 * time / sum) < 0.1)
    }
    // And so do the numbers of the table, of which the last row is the sum.
    let printed = report.renderedAsText().split(separator: "\n").compactMap { line in
      line.hasSuffix(" %") ? Double(line.dropLast(2).split(separator: " ").last ?? "") : nil
    }
    #expect(printed.count == times.count + 1 && printed.last == 100)
    #expect(Int((10 * printed.dropLast().reduce(0, +)).rounded()) == 1000)
  }

  @Test func nothingHasNoShare() {
    #expect(report([]).entries.isEmpty && report([0, 0]).entries.allSatisfy { $0.share == 0 })
    _ = report([]).renderedAsText()
  }

  /// What is measured of a pass is all there is, the update of the weights included.
  @Test(arguments: Timing.Mode.allCases) func everyModeAddsUp(_ mode: Timing.Mode) throws {
    let network = try #require(
      Network(architecture: "mlp", imageShape: [1, 4, 4], classes: 3))
    let report = try Timing(mode: mode, precision: .float32, batchSize: 4).run(network)
    #expect(report.entries.reduce(0) { $0 + Int((10 * $1.share).rounded()) } == 1000)
    #expect(report.entries.contains { $0.step == "update" } == (mode == .training))
    #expect((report.inversionMilliseconds != nil) == (mode == .curvature))
  }
}
