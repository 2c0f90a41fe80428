import Foundation

extension PruningReport {
  /// What was predicted of what went, and of what would go next.
  var removalSection: Page.Section? {
    guard let removals, !removals.isEmpty else { return nil }
    func number(_ value: Double?) -> String { value.map { String(format: "%.3g", $0) } ?? "–" }
    let rows = removals.enumerated().map { index, removal in
      [
        String(index + 1), String(removal.units), number(removal.loss),
        number(removal.loss / Double(max(1, removal.units))), number(removal.nextLoss),
      ]
    }
    let branches = removals.flatMap { $0.branches ?? [] }
    return Page.Section(
      title: "What that was predicted to cost",
      content: Page.table(["round", "channels", "loss, nats", "each", "the next"], rows)
        + Page.paragraph(
          "The sum of what every channel was predicted to add to the loss at the moment it went, what others make up for deducted; channels that go together are counted once. It is a prediction from training images, and before fine-tuning: what was measured stands above."
            + (branches.isEmpty
              ? ""
              : " Residual branches that went as wholes: what was added by \(branches.joined(separator: ", "))."
            )))
  }

  /// What had to stay, by reason.
  var frozenSection: Page.Section? {
    guard let frozen, !frozen.isEmpty else { return nil }
    var reasons: [String] = []
    var places: [String: [String]] = [:]
    for axis in frozen {
      if places[axis.reason] == nil { reasons.append(axis.reason) }
      places[axis.reason, default: []].append("axis \(axis.axis) of \(axis.value)")
    }
    let facts = reasons.map { reason in
      let all = places[reason] ?? []
      let shown = all.prefix(Self.shownPlaces).joined(separator: ", ")
      return (
        reason, all.count > Self.shownPlaces ? shown + ", … (\(all.count) in all)" : shown
      )
    }
    return Page.Section(
      title: "What had to stay, and why", content: Page.facts(facts))
  }

  private static let shownPlaces = 4
}
