import Testing

@testable import NapReport

/// What is said of measured times is a fact, and the advice is none that was followed already.
@Suite struct TimeRemarkTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let goal: String
    let multiple: Int?
    /// Of 10 ms.
    let after: Double
    let says: [String]
    var testDescription: String { "\(goal), round \(multiple ?? 0), \(after) ms" }
  }

  static let cases = [
    Case(
      goal: "macs", multiple: nil, after: 12, says: ["SLOWER", "12.000 ms", "--latency 0.70"]),
    Case(goal: "macs", multiple: 1, after: 12, says: ["SLOWER", "leave out --round 1"]),
    Case(goal: "macs", multiple: 8, after: 9.9, says: ["Hardly", "--latency 0.70"]),
    Case(goal: "max_drop", multiple: nil, after: 10, says: ["Hardly", "--latency 0.70"]),
    Case(goal: "latency", multiple: 1, after: 10.5, says: ["SLOWER"]),
    Case(goal: "macs", multiple: 1, after: 7.5, says: []),
  ]

  @Test(arguments: cases) func factsAndAdvice(_ example: Case) {
    var report = PruningReport(
      accuracyBefore: 1, accuracyAfter: 1, macsBefore: 100, macsAfter: 70, parametersBefore: 1,
      parametersAfter: 1, nonzeroAfter: 1, layers: [], curve: [], seconds: 1, verified: true,
      criterion: "nap", granularity: "channels", seed: 0)
    (report.goal, report.multiple) = (example.goal, example.multiple)
    report.latency = .init(batchSize: 1, measuredBefore: 10, measuredAfter: example.after)
    let remark = report.timeRemark ?? ""
    #expect(remark.isEmpty == example.says.isEmpty)
    for words in example.says { #expect(remark.contains(words), "\(remark)") }
    #expect(example.multiple != 8 || !remark.contains("--round"))
    #expect(example.goal != "latency" || !remark.contains("--latency"))
  }

  /// Where times vary more than they differ, that is all that is said.
  @Test(arguments: [9.5, 9.9, 10, 10.1, 12, 20]) func noAdviceFromNoise(after: Double) {
    for spread in [0.0, 0.01, 0.3, 2, 30] {
      var report = PruningReport(
        accuracyBefore: 1, accuracyAfter: 1, macsBefore: 100, macsAfter: 70, parametersBefore: 1,
        parametersAfter: 1, nonzeroAfter: 1, layers: [], curve: [], seconds: 1, verified: true,
        criterion: "nap", granularity: "channels", seed: 0)
      report.goal = "macs"
      var latency = PruningReport.Latency(
        batchSize: 1, measuredBefore: 10, measuredAfter: after)
      (latency.spreadBefore, latency.spreadAfter) = (spread / 2, spread / 2)
      report.latency = latency
      let remark = report.timeRemark ?? ""
      let isNoise = abs(after - 10) <= spread
      #expect(remark.contains("cannot be told") == isNoise, "\(remark)")
      #expect(remark.contains("--latency") != isNoise, "\(remark)")
      let verdict = report.page(JobFacts(command: "", circumstances: [], metrics: [])).verdict
      #expect(verdict.contains("no difference") == isNoise, "\(verdict)")
    }
  }
}
