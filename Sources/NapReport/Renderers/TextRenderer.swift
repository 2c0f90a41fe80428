import Foundation

extension EvaluationReport {
  public func renderedAsText() -> String {
    let measured = String(
      format: "%@ %.2f %%, loss %.4f, %d examples, %.0f examples/s",
      measure.rawValue, accuracy, loss, count, imagesPerSecond)
    let details =
      metrics.count > 1
      ? metrics.renderedAsText() : outputs.isEmpty ? nil : outputs.renderedAsText()
    let parts = [details, dynamic?.renderedAsText(), measured]
    return parts.compactMap { $0 }.joined(separator: "\n\n")
  }
}

extension [MetricReport] {
  func renderedAsText() -> String {
    var table = Table(["output", "measure", ""])
    for metric in self {
      let value = String(format: metric.isShare ? "%.2f %%" : "%.4g", metric.value)
      table.rows.append([metric.output, metric.name, value])
    }
    return table.rendered()
  }
}

extension [OutputReport] {
  /// A table, with the worst marked.
  func renderedAsText() -> String {
    var table = Table(["output", "taken for", "equal decisions", "R² mean", "least", "cosine"])
    func number(_ value: Double?, _ format: String) -> String {
      value.map { String(format: format, $0) } ?? ""
    }
    let worst = map(\.agreement).min()
    for output in self {
      let channels = "\(output.firstChannel)-\(output.firstChannel + output.channels - 1)"
      let mark = count > 1 && output.agreement == worst ? " (worst)" : ""
      table.rows.append([
        output.name + mark, "\(output.kind), axis \(output.axis), \(channels)",
        number(output.equalDecisions.map { 100 * $0 }, "%.2f %%"), number(output.explained, "%.4f"),
        output.leastExplained.map {
          String(format: "%.4f (channel %d)", $0, output.leastExplainedChannel ?? 0)
        } ?? "", number(output.cosine, "%.4f"),
      ])
    }
    return table.rendered()
  }
}

extension TrainingReport {
  public func renderedAsText() -> String {
    let measured =
      accuracy.map { measure.rawValue + String(format: " %.2f %%", $0) } ?? "no test split"
    return measured
      + String(
        format: " after %d %@, %.0f images/s, %.0f s", epochs, epochs == 1 ? "epoch" : "epochs",
        imagesPerSecond, seconds)
  }
}

extension ProfileReport {
  public func renderedAsText() -> String {
    var table = Table(["layer", "type", "output", "parameters", "MACs"])
    for layer in layers {
      table.rows.append([
        layer.name, layer.type, described(layer.outputShape), abbreviated(layer.parameters),
        abbreviated(layer.macs),
      ])
    }
    table.rows.append(["total", "", "", abbreviated(parameters), abbreviated(macs)])
    var groups = Table(["channels of", "units", "parameters each", "MACs each"])
    for group in units {
      let shown =
        group.layers.prefix(3).joined(separator: ", ") + (group.layers.count > 3 ? ", …" : "")
      groups.rows.append([
        shown, String(group.count), abbreviated(group.parameters), abbreviated(group.macs),
      ])
    }
    var text = table.rendered()
    if !units.isEmpty { text += "\n\nWhat can be removed:\n" + groups.rendered() }
    if !frozen.isEmpty {
      text +=
        "\n\nWhat cannot:\n"
        + frozen.map { "axis \($0.axis) of \($0.value): \($0.reason)".inOneLine }.joined(separator: "\n")
    }
    return text
  }
}

extension PruningReport {
  public func renderedAsText() -> String {
    var table = Table(["layer", "weight before", "after", "MACs before", "after", "kept"])
    for layer in layers {
      table.rows.append([
        layer.name, described(layer.shapeBefore),
        granularity != "channels"
          ? "\(abbreviated(layer.nonzeroAfter)) nonzero" : layer.widthsAfter,
        abbreviated(layer.macsBefore), abbreviated(layer.macsAfter),
        percent(layer.nonzeroAfter, layer.shapeBefore.reduce(1, *)),
      ])
    }
    var summary = Table(["", "before", "after", "kept"])
    summary.rows = summaryRows
    let ending =
      (preparation.map { "preparation: \($0)\n" } ?? "")
      + (latency?.circumstances.map { $0 + "\n" } ?? "")
      + (timeRemark.map { $0 + "\n" } ?? "") + String(format: "%.0f s, ", seconds)
      + (verified
        ? "verified: the written network computes what the pruned one does" : "NOT VERIFIED")
    let agreement =
      outputs.isEmpty
      ? []
      : [
        "Agreement with the original on \(outputs[0].examples) held-out examples:\n"
          + outputs.renderedAsText()
      ]
    let costs = dynamic.map { [$0.renderedAsText()] } ?? []
    return ([table.rendered(), summary.rendered()] + costs + agreement + [ending])
      .joined(separator: "\n\n")
  }

  /// What, before, after, and what is kept.
  var summaryRows: [[String]] {
    var rows = [
      [
        measure.rawValue, String(format: "%.2f %%", accuracyBefore),
        String(format: "%.2f %%", accuracyAfter),
        String(format: "%+.2f", accuracyAfter - accuracyBefore),
      ]
    ]
    if let metric {
      rows.append([
        "your metric", String(format: "%.4g", metric.before), String(format: "%.4g", metric.after),
        String(format: "%+.4g", metric.after - metric.before),
      ])
    }
    rows += [
      ["MACs", abbreviated(macsBefore), abbreviated(macsAfter), percent(macsAfter, macsBefore)],
      [
        "parameters", abbreviated(parametersBefore), abbreviated(parametersAfter),
        percent(parametersAfter, parametersBefore),
      ],
      [
        "nonzero", abbreviated(parametersBefore), abbreviated(nonzeroAfter),
        percent(nonzeroAfter, parametersBefore),
      ],
    ]
    if let latency {
      func kept(_ before: Double, _ after: Double) -> String {
        String(format: "%.1f %%", 100 * after / max(1e-9, before))
      }
      if let before = latency.predictedBefore, let after = latency.predictedAfter {
        rows.append([
          "ms, predicted", String(format: "%.3f", before), String(format: "%.3f", after),
          kept(before, after),
        ])
      }
      rows.append([
        "ms, measured here", String(format: "%.3f", latency.measuredBefore),
        String(format: "%.3f", latency.measuredAfter),
        kept(latency.measuredBefore, latency.measuredAfter),
      ])
      if let before = latency.spreadBefore, let after = latency.spreadAfter {
        rows.append([
          "ms, spread ±", String(format: "%.3f", before), String(format: "%.3f", after), "",
        ])
      }
    }
    if let bytesBefore, let bytesAfter {
      var files = [("bytes", bytesAfter)]
      if let sizes = sparseBytes {
        files += [
          ("compressed", sizes.compressed), ("sparse", sizes.sparse),
          ("sparse, compressed", sizes.sparseCompressed),
        ]
      }
      for (name, bytes) in files {
        rows.append([
          name, abbreviated(bytesBefore), abbreviated(bytes), percent(bytes, bytesBefore),
        ])
      }
    }
    return rows
  }

  private func percent(_ part: Int, _ whole: Int) -> String {
    String(format: "%.1f %%", 100 * Double(part) / Double(max(1, whole)))
  }
}

extension PointsReport {
  public func renderedAsText() -> String {
    let measure = (points.first?.measure ?? .accuracy).rawValue
    var table = Table(["network", "MACs", "parameters", "bytes", measure])
    for (index, point) in points.enumerated() {
      table.rows.append([
        index < files.count ? files[index].name : String(index + 1),
        String(format: "%.1f %%", 100 * point.macs),
        String(format: "%.1f %%", 100 * point.parameters),
        index < files.count ? abbreviated(files[index].bytes) : "",
        String(format: "%.2f %%", point.accuracy),
      ])
    }
    if let accuracyBefore {
      table.rows.append(
        ["the original", "100.0 %", "100.0 %", "", String(format: "%.2f %%", accuracyBefore)])
    }
    return table.rendered() + "\n\n\(measure) on held-out training images"
  }
}

extension SensitivityReport {
  public func renderedAsText() -> String {
    func number(_ value: Double?) -> String { value.map { String(format: "%.5f", $0) } ?? "" }
    var losses = Table(["channels of", "tried", "loss", "compensated"])
    for set in sets {
      let shown = set.layers.prefix(3).joined(separator: ", ") + (set.layers.count > 3 ? ", …" : "")
      losses.rows.append([
        shown, String(set.channels), number(set.loss), number(set.compensatedLoss),
      ])
    }
    var table = Table(["criterion", "rank correlation", "within sets"])
    for criterion in criteria {
      table.rows.append([
        criterion.name, String(format: "%.3f", criterion.rankCorrelation),
        String(format: "%.3f", criterion.correlationBySet),
      ])
    }
    return [
      "Increase of the loss by removing one channel, in nats, on \(images) images:",
      losses.rendered(),
      "Predicted against measured, over \(trials.count) channels:", table.rendered(),
    ].joined(separator: "\n\n")
  }
}

extension ComparisonReport {
  public func renderedAsText() -> String {
    // Of a comparison that was stopped, the last curve may be shorter than the first.
    let sizes = curves.first?.points.map { String(format: "%.1f %%", 100 * $0.macs) } ?? []
    var table = Table(["\(measure.rawValue) at MACs"] + sizes)
    for curve in curves {
      let missing = max(0, sizes.count - curve.points.count)
      table.rows.append(
        [curve.name] + curve.points.map { String(format: "%.2f", $0.accuracy) }
          + Array(repeating: "", count: missing))
    }
    return table.rendered() + String(format: "\n\nthe original: %.2f %%", accuracyBefore)
      + (jobsLeft.map { "\nstopped: \($0) \($0 == 1 ? "job is" : "jobs are") missing" } ?? "")
  }
}
