import Foundation

extension DynamicReport {
  /// In a sentence or two.
  public var sentence: String {
    var text = String(
      format:
        "An example costs %.1f %% of the MACs in the mean, %.1f %% in the median, at most %.1f %% in 95 of 100",
      100 * macs.mean, 100 * macs.median, 100 * macs.percentile95)
    if let own = milliseconds {
      text += String(
        format:
          "; alone it takes %.3f ms in the mean, %.3f in the median, at most %.3f in 95 of 100",
        own.mean, own.median, own.percentile95)
    }
    if let before = millisecondsBefore {
      text += String(format: ", the original %.3f ms in the mean", before.mean)
    }
    return text + "."
  }

  /// Groups of examples, as text.
  func renderedAsText() -> String {
    func table(_ title: String, _ groups: [Group]) -> String? {
      guard !groups.isEmpty else { return nil }
      var table = Table([title, "examples", "MACs", "accuracy"])
      table.rows = groups.map(Self.row)
      return table.rendered()
    }
    let tables = [
      table("cheapest …", deciles), table("easiest …", difficulties), table("class", classes),
    ]
    return ([sentence] + tables.compactMap { $0 }).joined(separator: "\n\n")
  }

  private static func row(_ group: Group) -> [String] {
    [
      group.name, String(group.examples), String(format: "%.1f %%", 100 * group.macs),
      group.accuracy.map { String(format: "%.2f %%", $0) } ?? "",
    ]
  }

  /// What examples cost, and how that goes with what they are.
  ///
  /// - Parameter pictures: files of the run directory in Base64, by name.
  func section(_ pictures: [String: String]) -> Page.Section {
    func table(_ title: String, _ groups: [Group]) -> String {
      groups.isEmpty
        ? "" : Page.table([title, "examples", "MACs", "accuracy"], groups.map(Self.row))
    }
    let steps = Double(max(1, histogram.count))
    let (low, high) = (range.first ?? 0, range.last ?? 1)
    let bars = histogram.enumerated().map { index, count in
      (x: low + (high - low) * (Double(index) + 0.5) / steps, y: Double(count))
    }
    let plot = Plot(
      xTitle: "share of the MACs", yTitle: "examples", series: [Plot.Series(points: bars)],
      yRange: 0...0)
    let sheet = sheet.flatMap { pictures[$0] }.map {
      "<figure><img alt=\"The cheapest and the dearest images\" src=\"data:image/png;base64,\($0)\">"
        + "<figcaption>The images that cost least, and, behind the gap, those that cost most.</figcaption></figure>"
    }
    return Page.Section(
      title: "What examples cost",
      content: Page.paragraph(sentence)
        + Page.figure(plot, "How many examples cost how much: twenty equal steps.")
        + (sheet ?? "")
        + table("cheapest …", deciles) + table("easiest …", difficulties) + table("class", classes)
        + Page.paragraph(
          "Tenths of the examples by what they cost and fifths by their loss; names say how many of the examples have come up to there."
        ))
  }
}
