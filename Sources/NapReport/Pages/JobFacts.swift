import Foundation

/// What was measured once on the way of a job.
public struct Metric: Codable, Sendable, Equatable {
  /// When, and after how many seconds of work.
  public var time: String
  public var elapsed: Double
  /// `epoch`, `stage`, `round` or `candidate`.
  public var kind: String
  public var name: String
  public var values: [String: Double]

  public init(time: String, elapsed: Double, kind: String, name: String, values: [String: Double]) {
    self.time = time
    self.elapsed = elapsed
    self.kind = kind
    self.name = name
    self.values = values
  }
}

/// What a job was asked for, with what it was done, and what was measured on its way.
public struct JobFacts: Sendable {
  /// As it is typed.
  public var command: String
  /// Such as where it was given, on what machine, by which versions.
  public var circumstances: [(name: String, value: String)]
  public var metrics: [Metric]
  /// Of networks that are kept, in the order of the report's points.
  public var files: [String]
  /// PNG files in Base64, by name.
  public var pictures: [String: String] = [:]
  /// What the original is worth, measured as they are; in percent.
  public var accuracyBefore: Double?

  public init(
    command: String, circumstances: [(name: String, value: String)], metrics: [Metric],
    files: [String] = []
  ) {
    self.command = command
    self.circumstances = circumstances
    self.metrics = metrics
    self.files = files
  }

  /// Seconds by stage, the longest first.
  var stages: [(name: String, seconds: Double)] {
    let stages = metrics.filter { $0.kind == "stage" }
    let end = metrics.last?.elapsed ?? 0
    var sums: [String: Double] = [:]
    for (index, stage) in stages.enumerated() {
      let next = index + 1 < stages.count ? stages[index + 1].elapsed : end
      sums[stage.name, default: 0] += max(0, next - stage.elapsed)
    }
    return sums.map { ($0.key, $0.value) }.sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }
  }

  /// What every job has at the end of its page.
  var sections: [Page.Section] {
    var sections: [Page.Section] = []
    let epochs = metrics.filter { $0.kind == "epoch" }
    if epochs.count > 1 {
      // Trainings one after the other: epochs are counted anew in each.
      var runs: [[Metric]] = []
      for epoch in epochs {
        let isNext = (epoch.values["epoch"] ?? 0) > (runs.last?.last?.values["epoch"] ?? 0)
        if isNext, !runs.isEmpty {
          runs[runs.count - 1].append(epoch)
        } else {
          runs.append([epoch])
        }
      }
      func plot(_ key: String, _ title: String) -> Plot? {
        let series = runs.enumerated().map { index, run in
          Plot.Series(
            name: runs.count > 1 ? "training \(index + 1)" : "",
            points: run.compactMap { epoch in
              epoch.values[key].map { (epoch.elapsed / 60, $0) }
            }, color: index)
        }.filter { !$0.points.isEmpty }
        return series.isEmpty ? nil : Plot(xTitle: "minutes of work", yTitle: title, series: series)
      }
      let figures =
        [
          plot("loss", "loss, nats").map {
            Page.figure($0, "Mean loss of every epoch on the images that are trained on.")
          }
        ]
        + Measure.allCases.map { measure in
          plot(measure.rawValue, "\(measure.rawValue), %").map {
            Page.figure($0, "\(measure.title) on the same examples.")
          }
        }
      sections.append(
        Page.Section(title: "Learning", content: figures.compactMap { $0 }.joined(separator: "\n")))
    }
    let stages = stages
    let all = stages.reduce(0) { $0 + $1.seconds }
    if all > 0 {
      sections.append(
        Page.Section(
          title: "Where the time went",
          content: Page.bars(
            stages.filter { $0.seconds >= 0.005 * all }.map {
              ($0.name, $0.seconds / all, duration($0.seconds))
            })))
    }
    sections.append(
      Page.Section(
        title: "How it was done",
        content: Page.code(command)
          + Page.facts(circumstances.map { ($0.name, $0.value) })))
    return sections
  }
}

/// `42 s`, `3:05 min`, `1:12 h`.
public func duration(_ seconds: Double) -> String {
  let total = Int(max(0, min(seconds, 1e9)).rounded())
  if seconds < 9.95 { return String(format: "%.1f s", seconds) }
  if total < 60 { return "\(total) s" }
  if total < 3600 { return String(format: "%d:%02d min", total / 60, total % 60) }
  return String(format: "%d:%02d h", total / 3600, total % 3600 / 60)
}

/// A report of a job, which can be shown as a page.
public protocol PagedReport: Report {
  func page(_ facts: JobFacts) -> Page
}
