import Foundation

extension TrainingReport: PagedReport {
  public func page(_ facts: JobFacts) -> Page {
    let measured =
      accuracy.map { measure.title + String(format: " %.2f %% on the test split", $0) }
      ?? "No test split"
    return Page(
      title: "A trained network",
      verdict: measured + " after \(epochs) \(epochs == 1 ? "epoch" : "epochs").",
      sections: [
        Page.Section(
          title: "The network",
          content: Page.facts([
            ("MACs", abbreviated(macs)), ("parameters", abbreviated(parameters)),
            ("loss", loss.map { String(format: "%.4f nats", $0) } ?? "–"),
            ("images a second", String(format: "%.0f", imagesPerSecond)),
            ("time", duration(seconds)),
          ]))
      ] + facts.sections)
  }
}

extension ComparisonReport: PagedReport {
  /// Accuracy against size, one line for every criterion.
  var plot: Plot {
    Plot(
      xTitle: "share of the MACs", yTitle: "\(measure.rawValue), %",
      series: curves.enumerated().map { index, curve in
        Plot.Series(
          name: curve.name,
          points: ([(1, accuracyBefore)] + curve.points.map { ($0.macs, $0.accuracy) })
            .sorted { $0.0 < $1.0 }, color: index)
      })
  }

  /// A plot of accuracy against size, one line for every criterion.
  public func renderedAsSVG() -> String { plot.rendered() }

  /// The best of every size that was asked for, or of the smallest and the largest of many.
  private var verdict: String {
    let sizes = (curves.map(\.points.count).max() ?? 0)
    let best = (0..<sizes).compactMap { size in
      curves.filter { $0.points.count > size }.map { ($0.name, $0.points[size]) }
        .max { $0.1.accuracy < $1.1.accuracy }
    }.sorted { $0.1.macs > $1.1.macs }
    guard !best.isEmpty else { return "Nothing was compared." }
    let told = best.count > 3 ? [best[0], best[best.count - 1]] : best
    let list = told.map {
      String(format: "at %.0f %% of the MACs %@ (%.2f %%)", 100 * $0.1.macs, $0.0, $0.1.accuracy)
    }
    return String(
      format: "The original has %.2f %% %@. Best: %@.", accuracyBefore, measure.rawValue,
      list.joined(separator: ", "))
  }

  public func page(_ facts: JobFacts) -> Page {
    let rows = curves.flatMap { curve in
      curve.points.map { point in
        [
          curve.name, String(format: "%.1f %%", 100 * point.macs),
          String(format: "%.1f %%", 100 * point.parameters),
          String(format: "%.2f %%", point.accuracy), duration(point.seconds),
        ]
      }
    }
    return Page(
      title: "\(curves.count) criteria compared",
      verdict: verdict,
      sections: [
        Page.Section(
          title: "\(measure.title) and size",
          content: Page.figure(plot, "The same job under every criterion.")
            + Page.table(["criterion", "MACs", "parameters", measure.rawValue, "time"], rows))
      ] + facts.sections)
  }
}

extension SensitivityReport: PagedReport {
  public func page(_ facts: JobFacts) -> Page {
    let losses = sets.map { $0.loss ?? $0.compensatedLoss ?? 0 }
    let most = losses.max() ?? 0
    return Page(
      title: "Which channels matter",
      verdict: criteria.first.map {
        String(
          format:
            "Of %d criteria, %@ knows best: rank correlation %.3f with what removing a channel does.",
          criteria.count, $0.name, $0.rankCorrelation)
      } ?? "Nothing was measured.",
      sections: [
        Page.Section(
          title: "How well criteria know it",
          content: Page.table(
            ["criterion", "rank correlation", "within sets"],
            criteria.map {
              [
                $0.name, String(format: "%.3f", $0.rankCorrelation),
                String(format: "%.3f", $0.correlationBySet),
              ]
            })),
        Page.Section(
          title: "What removing one channel costs",
          content: Page.bars(
            zip(sets, losses).map { set, loss in
              (
                set.layers.joined(separator: ", "), most > 0 ? loss / most : 0,
                String(format: "%.5f nats", loss)
              )
            }) + Page.paragraph("Mean increase of the loss on \(images) images.")),
      ] + facts.sections)
  }
}
