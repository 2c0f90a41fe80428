import Foundation

extension DataReport {
  public func renderedAsText() -> String {
    var arrays = Table(["", "name", "shape", "kind", "least", "largest", "mean", "deviation"])
    for (role, fields) in [("input", inputs), ("target", targets)] {
      for field in fields {
        arrays.rows.append(
          [role, field.name, described(field.shape), field.kind]
            + [field.least, field.largest, field.mean, field.deviation].map {
              String(format: "%.4g", $0)
            })
      }
    }
    var parts = [
      zip(splits, counts).map { "\($0): \($1) examples" }.joined(separator: ", "),
      arrays.rendered(), "preparation: \(preparation)",
    ]
    if !classes.isEmpty {
      var table = Table(["class", "name"] + splits)
      for (index, entry) in classes.enumerated().prefix(Self.mostClasses) {
        table.rows.append(["\(index)", entry.name] + entry.counts.map(String.init))
      }
      let others = classes.count - Self.mostClasses
      parts.append(table.rendered() + (others > 0 ? "\nand \(others) more" : ""))
    }
    parts += outputs
    parts += remarks.map { "note: \($0)" }
    if let misfit { parts.append("does not fit the network: \(misfit)") }
    return parts.joined(separator: "\n\n")
  }

  private static let mostClasses = 40
}
