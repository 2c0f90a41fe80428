import Foundation

extension PruningReport: PagedReport {
  public func page(_ facts: JobFacts) -> Page {
    let left = 100 * Double(macsAfter) / Double(max(1, macsBefore))
    let title =
      granularity == "channels"
      ? String(format: "A network with %.1f %% of its multiply-accumulates", left)
      : String(
        format: "A network with %.1f %% of its weights",
        100 * Double(nonzeroAfter) / Double(max(1, parametersBefore)))
    var sections = [
      Page.Section(
        title: "Before and after",
        content: Page.table(
          ["", "before", "after", "kept"], summaryRows)
          + (latency?.circumstances.map(Page.paragraph) ?? "")
          + (preparation.map { Page.paragraph("Preparation of images: \($0).") } ?? ""))
    ]
    if let promise { sections[0].content = Page.paragraph(promise.text) + sections[0].content }
    if curve.count > 1 {
      let chosen = curve.indices.min {
        abs(curve[$0].macs - left / 100) < abs(curve[$1].macs - left / 100)
      }
      let isByWeights = granularity != "channels"
      func size(_ point: Point) -> Double { isByWeights ? point.parameters : point.macs }
      var plot = Plot(
        xTitle: "share of the \(isByWeights ? "parameters" : "MACs")",
        yTitle: "\(measure.rawValue) on held-out images, %",
        series: [Plot.Series(points: curve.map { (size($0), $0.accuracy) }, style: .points)])
      if let chosen {
        plot.marks = [(size(curve[chosen]), curve[chosen].accuracy, "chosen")]
      }
      if let before = facts.accuracyBefore {
        plot.series.append(Plot.Series(points: [(1, before)], style: .points, color: 6))
        plot.marks.append((1, before, "the original"))
      }
      sections.append(
        Page.Section(
          title: "Networks on the way",
          content: Page.figure(
            plot,
            "Every network that was measured on training images that were held out. Where the original knows these by heart, a part of each is painted over, so that numbers are lower than on new images."
          )
            + Page.table(
              ["network", "MACs", "parameters", measure.rawValue],
              curve.enumerated().map { index, point in
                [
                  index < facts.files.count ? facts.files[index] : "\(index + 1)",
                  String(format: "%.1f %%", 100 * point.macs),
                  String(format: "%.1f %%", 100 * point.parameters),
                  String(format: "%.2f %%", point.accuracy),
                ]
              }, highlighted: chosen.map { [$0] } ?? [])))
    }
    sections.append(
      Page.Section(
        title: granularity == "channels" ? "What is left of the layers" : "Weights that are left",
        content: Page.bars(
          layers.map { layer in
            let (before, after) = (layer.shapeBefore, layer.shapeAfter)
            guard !after.isEmpty else { return (layer.name, 0, layer.widthsAfter) }
            guard granularity == "channels" else {
              return (
                layer.name, Double(layer.nonzeroAfter) / Double(max(1, before.reduce(1, *))),
                abbreviated(layer.nonzeroAfter)
              )
            }
            return (
              layer.name, Double(layer.macsAfter) / Double(max(1, layer.macsBefore)),
              "\(described(Array(after.prefix(2)))) of \(described(Array(before.prefix(2))))"
            )
          })
          + Page.paragraph(
            granularity == "channels"
              ? "Bars are multiply-accumulates that are left, layer by layer as they are computed; numbers are outputs x inputs."
              : "Bars are weights that are not zero.")))
    sections += [dynamic?.section(facts.pictures), removalSection, frozenSection].compactMap { $0 }
    if let allocation { sections.append(allocation.section) }
    if !outputs.isEmpty {
      sections.append(
        Page.Section(
          title: "Agreement with the original",
          content: agreementTable
            + Page.paragraph("On held-out examples that nothing was trained on.")))
    }
    if let section = FunctionReport.section(functions ?? [], facts.pictures) {
      sections.append(section)
    }
    return Page(
      title: title, verdict: verdict, isKept: promise?.isKept, sections: sections + facts.sections)
  }

  /// Only with columns that say something.
  private var agreementTable: String {
    func number(_ value: Double?, _ format: String) -> String {
      value.map { String(format: format, $0) } ?? ""
    }
    let header = [
      "output", "taken for", "examples", "equal decisions", "R² mean", "R² least", "cosine",
    ]
    let rows = outputs.map { output in
      [
        output.name, output.kind, String(output.examples),
        number(output.equalDecisions.map { 100 * $0 }, "%.2f %%"),
        number(output.explained, "%.4f"), number(output.leastExplained, "%.4f"),
        number(output.cosine, "%.4f"),
      ]
    }
    let columns = header.indices.filter { column in rows.contains { !$0[column].isEmpty } }
    return Page.table(columns.map { header[$0] }, rows.map { row in columns.map { row[$0] } })
  }

  /// In percentage points, of a share of so many examples; 0 where it is none.
  var standardError: Double {
    guard let count = examples, count > 0, measure == .accuracy else { return 0 }
    let share = min(1, max(0, accuracyAfter / 100))
    return 100 * (share * (1 - share) / Double(count)).squareRoot()
  }

  private var verdict: String {
    var text = String(
      format: "%@ %.2f → %.2f %%",
      measure.rawValue.prefix(1).uppercased() + measure.rawValue.dropFirst(),
      accuracyBefore, accuracyAfter)
    if let examples, standardError > 0 {
      text += String(format: " (± %.2f, by %d images)", standardError, examples)
    }
    if let latency, latency.measuredAfter > 0 {
      let ratio = latency.measuredBefore / latency.measuredAfter
      text +=
        !latency.differs
        ? ", no difference in time that can be told here"
        : ratio >= 1
          ? String(format: ", %.2f times as fast here", ratio)
          : String(format: ", slower here: %.2f times the time", 1 / ratio)
    }
    if let promise {
      text += promise.isKept ? "; what was asked for was kept" : "; the promise was not kept"
    }
    return text + "."
  }

  /// What was asked for, and whether it was kept.
  private var promise: (text: String, isKept: Bool)? {
    guard let goal, let value = goalValue else { return nil }
    func share(_ what: String, _ reached: Double) -> (String, Bool) {
      (
        String(
          format: "Asked for: at most %.1f %% of the %@. Reached: %.1f %%.", 100 * value, what,
          100 * reached), reached <= value + 1e-9
      )
    }
    switch goal {
    case "macs":
      let reached = Double(macsAfter) / Double(max(1, macsBefore))
      guard let dynamic else { return share("multiply-accumulates", reached) }
      return (
        String(
          format: "Asked for: %.1f %% of the multiply-accumulates in the mean. Reached: %.1f %%, on %d examples.",
          100 * value, 100 * reached, dynamic.examples), reached <= 1.01 * value
      )
    case "parameters":
      return share("parameters", Double(parametersAfter) / Double(max(1, parametersBefore)))
    case "latency":
      if let dynamic, let after = dynamic.milliseconds, let before = dynamic.millisecondsBefore {
        let reached = after.mean / max(1e-9, before.mean)
        return (
          String(
            format: "Asked for: %.1f %% of the time of a single example in the mean. Reached: %.1f %%, measured here.",
            100 * value, 100 * reached), reached <= 1.1 * value
        )
      }
      guard let latency else { return nil }
      guard let before = latency.predictedBefore, let after = latency.predictedAfter else {
        let reached = latency.measuredAfter / max(1e-9, latency.measuredBefore)
        let noise = latency.spreadAfter.map { $0 / max(1e-9, latency.measuredBefore) } ?? 0
        let (text, _) = share("time, as it is measured here", reached)
        return (text, reached <= value + noise)
      }
      return share("time, as the table predicts it", after / before)
    case "max_drop":
      let lost = accuracyBefore - accuracyAfter
      let what = "points of \(measure.rawValue)"
      return (
        String(
          format:
            "Asked for: to lose at most %.2f %@, judged by held-out training images. On %@ it lost %.2f%@.",
          value, what, isTest ?? true ? "the test split" : "held-out images", lost,
          standardError > 0 ? String(format: " ± %.2f", standardError) : ""),
        lost <= value + 1e-9
      )
    default: return nil
    }
  }
}
