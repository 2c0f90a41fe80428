import Foundation
import NapTestSupport
import Testing

@testable import NapReport

@Suite struct PageTests {
  private var report: PruningReport {
    var report = PruningReport(
      accuracyBefore: 93.4, accuracyAfter: 92.2, macsBefore: 1000, macsAfter: 500,
      parametersBefore: 100, parametersAfter: 60, nonzeroAfter: 60,
      layers: [
        .init(
          name: "<conv & \"1\">", type: "Conv", shapeBefore: [16, 3, 3, 3],
          shapeAfter: [8, 3, 3, 3],
          macsBefore: 600, macsAfter: 300, nonzeroAfter: 216)
      ],
      curve: [
        .init(macs: 0.8, parameters: 0.9, accuracy: 93),
        .init(macs: 0.5, parameters: 0.6, accuracy: 92),
      ],
      seconds: 90, verified: true, criterion: "nap", granularity: "channels", seed: 0)
    (report.goal, report.goalValue, report.examples, report.isTest) = ("max_drop", 1, 10000, true)
    report.removals = [
      .init(units: 8, loss: 0.0125, nextLoss: 0.002), .init(units: 4, loss: 0.03, nextLoss: nil),
    ]
    report.frozen = (0..<9).map { .init(value: "w\($0)", axis: 1, reason: "<a & b>") }
    report.latency = .init(batchSize: 1, measuredBefore: 2, measuredAfter: 1)
    return report
  }

  private var facts: JobFacts {
    let metrics = (1...5).map { (number: Int) -> Metric in
      let values = ["epoch": Double(number), "loss": 1 / Double(number)]
      return Metric(
        time: "", elapsed: Double(number), kind: number % 2 == 0 ? "stage" : "epoch",
        name: "training", values: values)
    }
    return JobFacts(
      command: "nap prune '<script>alert(1)</script>' -o out.onnx",
      circumstances: [(name: "nap", value: "0.2.0")], metrics: metrics,
      files: ["point-1.onnx", "point-2.onnx"])
  }

  private var reports: [any PagedReport] {
    let comparison = ComparisonReport(
      accuracyBefore: 90,
      curves: [
        .init(
          criterion: "nap", points: [.init(macs: 0.5, parameters: 0.5, accuracy: 88, seconds: 3)])
      ])
    let sensitivity = SensitivityReport(
      criteria: [.init(name: "nap", rankCorrelation: 0.9, correlationBySet: 0.8)],
      sets: [.init(layers: ["a"], channels: 8, loss: 0.1, compensatedLoss: nil)], images: 10,
      trials: [])
    let training = TrainingReport(
      accuracy: 90, loss: 1, epochs: 2, parameters: 1, macs: 1, imagesPerSecond: 1, seconds: 1)
    return [report, comparison, sensitivity, training]
  }

  /// Nothing from elsewhere, no scripts, and nothing of the user's is taken for markup.
  @Test func pagesStandAlone() throws {
    for report in reports {
      let page = report.page(facts).rendered()
      for loading in ["@import", "url(", "<link rel=\"stylesheet", "<iframe", "<object", "srcset"] {
        #expect(!page.contains(loading), "\(loading)")
      }
      #expect(!page.contains("<script") && !page.contains("href=\"http") && !page.contains("src="))
      #expect(!page.contains("<conv") && page.contains("&lt;script&gt;"))
      // The namespace of SVG is a name, not an address that is fetched.
      #expect(
        !page.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "").contains("://"))
      for tag in ["section", "svg", "table", "div", "span", "dl", "figure", "main"] {
        let opened = page.components(separatedBy: "<\(tag)").count
        let closed = page.components(separatedBy: "</\(tag)>").count
        #expect(opened == closed, "\(tag)")
      }
    }
  }

  /// A browser without network asks for nothing but the page, and finds nothing to complain of. Where there is
  /// none, the test above has to do.
  @Test func browsersShowPagesWithoutComplaint() throws {
    guard let browser = Browser() else { return }
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    func opened(_ page: String) throws -> Browser.Visit {
      let file = folder.appending(path: "page.html")
      try Data(page.utf8).write(to: file)
      return try browser.open(file, profile: folder.appending(path: "profile"))
    }
    for report in reports {
      let visit = try opened(report.page(facts).rendered())
      #expect(visit.document.contains("How it was done"), "\(visit)")
      #expect(visit.complaints.isEmpty && visit.requests.isEmpty, "\(visit)")
    }
    // And it would be seen.
    let bad = try opened(
      "<title>t</title><img src=\"http://nap.invalid/a.png\"><script>console.error(1)</script>")
    #expect(bad.complaints.count == 1 && bad.requests.contains { $0.contains("nap.invalid") })
  }

  /// What was predicted of removals, and why the rest had to stay.
  @Test func predictionsAndReasonsAreShown() {
    let page = report.page(facts).rendered()
    #expect(page.contains("What that was predicted to cost") && page.contains("0.0125"))
    #expect(page.contains("0.00156") && page.contains("–"))
    #expect(page.contains("&lt;a &amp; b&gt;") && page.contains("(9 in all)"))
    var none = report
    (none.removals, none.frozen) = (nil, [])
    let other = none.page(facts).rendered()
    #expect(!other.contains("predicted to cost") && !other.contains("had to stay"))
  }

  /// What was promised is judged by the test split, with what chance may do.
  @Test func brokenPromisesAreSaid() {
    let page = report.page(facts)
    #expect(page.isKept == false && page.verdict.contains("the promise was not kept"))
    #expect(page.rendered().contains("it lost 1.20 ± 0.27"))
    var kept = report
    kept.goalValue = 2
    #expect(kept.page(facts).isKept == true)
    kept.goal = nil
    #expect(kept.page(facts).isKept == nil)
  }

  /// Round numbers, in order, that leave each other room.
  @Test func ticksAreRoundAndFew() {
    for (low, high) in [(0.0, 1.0), (91.7, 93.4), (-3, 0.001), (1e-9, 2e-9), (5, 5.0001), (0, 1e9)]
    {
      for most in [1, 3, 8] {
        let ticks = Plot.ticks(low...high, most: most)
        #expect(ticks.values.count <= most + 1 && ticks.values == ticks.values.sorted())
        #expect(ticks.values.allSatisfy { $0 >= low - 1e-12 && $0 <= high + 1e-12 })
        #expect(Set(ticks.values.map(ticks.text)).count == ticks.values.count, "\(ticks)")
      }
    }
  }

  @Test func timeIsSharedOutAmongStages() {
    let stages: [(name: String, elapsed: Double)] = [("a", 0), ("b", 2), ("a", 3), ("done", 10)]
    let metrics = stages.map {
      Metric(time: "", elapsed: $0.elapsed, kind: "stage", name: $0.name, values: [:])
    }
    let times = JobFacts(command: "", circumstances: [], metrics: metrics).stages
    #expect(times.map(\.name) == ["a", "b", "done"] && times.map(\.seconds) == [9, 1, 0])
  }

  /// Long names are cut where tables would be wider than a terminal; numbers never are.
  @Test func tablesFitATerminal() {
    for length in [1, 12, 40, 200] {
      var table = Table(["layer", "weight before", "after", "MACs before", "after", "kept"])
      table.rows = [
        [
          String(repeating: "n", count: length) + "end", "512x512x3x3", "384x384x3x3", "118.00 M",
          "66.36 M", "56.2 %",
        ]
      ]
      let lines = table.rendered().split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= 80 }, "\(lines)")
      #expect(lines[2].contains("end") && lines[2].contains("512x512x3x3"))
    }
  }

  /// Whatever names hold.
  @Test(arguments: ["a\nb", "a\r\nb", "a\u{2028}b", "\n", "a\u{b}\u{85}b"])
  func rowsOfTablesAreOneLine(_ name: String) {
    var table = Table(["layer", "kept"])
    table.rows = [[name, "1"], ["other", name]]
    let text = table.rendered()
    #expect(text.split(whereSeparator: \.isNewline).count == 4, "\(text)")
    let widths = Set(text.split(separator: "\n").dropFirst(2).map(\.count))
    #expect(widths.count == 1, "\(text)")
  }
}
