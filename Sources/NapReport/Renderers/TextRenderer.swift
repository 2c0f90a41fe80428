import Foundation

extension EvaluationReport {
  public func renderedAsText() -> String {
    String(
      format: "accuracy %.2f %%, loss %.4f, %d images, %.0f images/s", accuracy, loss, count,
      imagesPerSecond)
  }
}

extension TrainingReport {
  public func renderedAsText() -> String {
    let measured = accuracy.map { String(format: "accuracy %.2f %%", $0) } ?? "no test split"
    return measured
      + String(
        format: " after %d epochs, %.0f images/s, %.0f s", epochs, imagesPerSecond, seconds)
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
        + frozen.map { "axis \($0.axis) of \($0.value): \($0.reason)" }.joined(separator: "\n")
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
        granularity == "weights"
          ? "\(abbreviated(layer.nonzeroAfter)) nonzero" : described(layer.shapeAfter),
        abbreviated(layer.macsBefore), abbreviated(layer.macsAfter),
        percent(layer.nonzeroAfter, layer.shapeBefore.reduce(1, *)),
      ])
    }
    var summary = Table(["", "before", "after", "kept"])
    summary.rows = [
      [
        "accuracy", String(format: "%.2f %%", accuracyBefore),
        String(format: "%.2f %%", accuracyAfter),
        String(format: "%+.2f", accuracyAfter - accuracyBefore),
      ],
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
    let ending =
      String(format: "%.0f s, ", seconds)
      + (verified
        ? "verified: the written network computes what the pruned one does" : "NOT VERIFIED")
    return [table.rendered(), summary.rendered(), ending].joined(separator: "\n\n")
  }

  private func percent(_ part: Int, _ whole: Int) -> String {
    String(format: "%.1f %%", 100 * Double(part) / Double(max(1, whole)))
  }
}
