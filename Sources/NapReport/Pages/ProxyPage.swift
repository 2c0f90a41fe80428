import Foundation

extension ProxyReport: PagedReport {
  private func number(_ seconds: Double) -> String {
    seconds < 1 ? String(format: "%.0f ms", 1000 * seconds) : String(format: "%.1f s", seconds)
  }

  private var header: [String] {
    ["known before training", "Kendall's tau", "a network", "at first"]
  }

  private var rows: [[String]] {
    proxies.map {
      [
        $0.name, String(format: "%.3f", $0.tau), number($0.seconds),
        $0.preparation > 0 ? number($0.preparation) : "",
      ]
    }
  }

  private var task: String {
    "\(structures.count) networks of random widths, each fine-tuned for \(epochs) epochs"
  }

  public func renderedAsText() -> String {
    var table = Table(header)
    table.rows = rows
    return "\(task):\n\n\(table.rendered())"
  }

  public func page(_ facts: JobFacts) -> Page {
    let best = proxies.max { $0.tau < $1.tau }
    let plots = proxies.map { proxy in
      Page.figure(
        Plot(
          xTitle: proxy.name, yTitle: "\(measure.rawValue) after fine-tuning, %",
          series: [
            Plot.Series(
              points: zip(proxy.scores, structures.map(\.accuracy)).map { ($0, $1) }, style: .points
            )
          ]), String(format: "Kendall's tau %.3f.", proxy.tau))
    }
    return Page(
      title: "How well a network is known before it is trained",
      verdict: best.map { String(format: "%@ knows best: Kendall's tau %.3f.", $0.name, $0.tau) }
        ?? "Nothing was measured.",
      sections: [
        Page.Section(
          title: "What is known", content: Page.paragraph(task + ".") + Page.table(header, rows)),
        Page.Section(title: "Before and after training", content: plots.joined(separator: "\n")),
      ] + facts.sections)
  }
}
