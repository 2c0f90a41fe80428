import Foundation

extension ComparisonReport {
  /// A plot of accuracy against size, one line for every criterion.
  public func renderedAsSVG() -> String {
    let (width, height) = (720.0, 440.0)
    let frame = (left: 64.0, right: 560.0, top: 24.0, bottom: 392.0)
    let points = curves.flatMap(\.points)
    let sizes = points.map(\.macs) + [1]
    let accuracies = points.map(\.accuracy) + [accuracyBefore]
    let (firstSize, lastSize) = (sizes.min() ?? 0, 1.0)
    let low = ((accuracies.min() ?? 0) / 5).rounded(.down) * 5
    let high = max(low + 5, ((accuracies.max() ?? 100) / 5).rounded(.up) * 5)
    func x(_ size: Double) -> Double {
      frame.left + (frame.right - frame.left) * (size - firstSize) / max(1e-9, lastSize - firstSize)
    }
    func y(_ accuracy: Double) -> Double {
      frame.bottom - (frame.bottom - frame.top) * (accuracy - low) / (high - low)
    }
    func f(_ number: Double) -> String { String(format: "%.1f", number) }
    var lines = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(f(width)) \(f(height))" \
      font-family="sans-serif" font-size="12">
      """,
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
    ]
    for tick in 0...5 {
      let accuracy = low + (high - low) * Double(tick) / 5
      lines.append(
        "<path d=\"M\(f(frame.left)) \(f(y(accuracy)))H\(f(frame.right))\" stroke=\"#ddd\"/>"
          + "<text x=\"\(f(frame.left - 8))\" y=\"\(f(y(accuracy) + 4))\" text-anchor=\"end\">"
          + "\(f(accuracy))</text>")
    }
    for size in Set(sizes.map { ($0 * 100).rounded() / 100 }).sorted() {
      lines.append(
        "<text x=\"\(f(x(size)))\" y=\"\(f(frame.bottom + 18))\" text-anchor=\"middle\">"
          + String(format: "%.2f", size) + "</text>")
    }
    lines.append(
      "<text x=\"\(f((frame.left + frame.right) / 2))\" y=\"\(f(height - 8))\" "
        + "text-anchor=\"middle\">share of the MACs</text>"
        + "<text x=\"16\" y=\"\(f((frame.top + frame.bottom) / 2))\" text-anchor=\"middle\" "
        + "transform=\"rotate(-90 16 \(f((frame.top + frame.bottom) / 2)))\">\(measure.rawValue), %</text>")
    for (index, curve) in curves.enumerated() {
      let color = "hsl(\(index * 360 / max(1, curves.count)),70%,42%)"
      let all = ([(1, accuracyBefore)] + curve.points.map { ($0.macs, $0.accuracy) })
        .sorted { $0.0 < $1.0 }
      let path = all.map { "\(f(x($0.0))),\(f(y($0.1)))" }.joined(separator: " ")
      lines.append(
        "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\"/>")
      lines += all.map {
        "<circle cx=\"\(f(x($0.0)))\" cy=\"\(f(y($0.1)))\" r=\"3\" fill=\"\(color)\"/>"
      }
      let row = frame.top + 12 + 18 * Double(index)
      lines.append(
        "<path d=\"M\(f(frame.right + 16)) \(f(row - 4))h16\" stroke=\"\(color)\" "
          + "stroke-width=\"2\"/><text x=\"\(f(frame.right + 38))\" y=\"\(f(row))\">"
          + "\(curve.criterion)</text>")
    }
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }
}
