import Foundation

extension AllocationReport {
  /// What was decided, and by what.
  var section: Page.Section {
    var content = Page.bars(
      sets.map {
        ($0.layer, Double($0.after) / Double(max(1, $0.before)), "\($0.after) of \($0.before)")
      })
    content += Page.paragraph(
      "Bars are channels that stay of every set that is pruned together, named by the first layer that computes them."
    )
    if let similarity {
      content +=
        "<figure>\(Self.heatMap(similarity))<figcaption>How alike the features of the sets are (nHSIC), in the order above: white 0, dark 1.</figcaption></figure>"
    }
    if let front, front.count > 1 {
      content += Page.figure(
        Plot(
          xTitle: "share of the cost", yTitle: "held-out loss before training",
          series: [Plot.Series(points: front.map { ($0.cost, $0.loss) }, style: .points)]),
        "Of the networks that were tried, those that no other one beats in both cost and loss.")
    }
    return Page.Section(title: "How wide layers are: \(allocator)", content: content)
  }

  /// Squares on white paper, dark for 1.
  static func heatMap(_ matrix: [[Double]]) -> String {
    let count = max(1, matrix.count)
    let side = 420.0 / Double(count)
    func f(_ number: Double) -> String { String(format: "%.2f", number) }
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 420 420\" role=\"img\" style=\"max-width:420px\">",
      "<title>similarities of \(count) sets</title>",
      "<rect width=\"420\" height=\"420\" fill=\"#ffffff\"/>",
    ]
    for (i, row) in matrix.enumerated() {
      for (j, value) in row.enumerated() {
        let share = value.isFinite ? min(1, max(0, value)) : 0
        // From white to the blue of plots.
        let channels = [(255.0, 0.0), (255, 82), (255, 140)].map { Int($0 + ($1 - $0) * share) }
        lines.append(
          "<rect x=\"\(f(side * Double(j)))\" y=\"\(f(side * Double(i)))\" width=\"\(f(side))\" height=\"\(f(side))\" fill=\"\(String(format: "#%02x%02x%02x", channels[0], channels[1], channels[2]))\"/>"
        )
      }
    }
    return (lines + ["</svg>"]).joined(separator: "\n")
  }
}
