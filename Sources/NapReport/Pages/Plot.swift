import Foundation

/// Curves and points over two axes, as SVG: plain colours, ticks at round numbers, none over another.
struct Plot {
  struct Series {
    enum Style { case line, points }
    /// Empty where the legend need not tell it.
    var name = ""
    var points: [(x: Double, y: Double)]
    var style = Style.line
    /// One of `colors`, by number.
    var color = 0
  }

  var xTitle: String
  var yTitle: String
  var series: [Series]
  /// Points with a ring around them, and what they are.
  var marks: [(x: Double, y: Double, text: String)] = []
  /// What the axes show at least.
  var xRange: ClosedRange<Double>?
  var yRange: ClosedRange<Double>?
  var size = (width: 720.0, height: 400.0)

  /// Okabe and Ito's, which people who see colours differently tell apart, without the lightest.
  static let colors = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#332288",
    "#882255", "#117733",
  ]

  /// Lines beyond the last color are dashed.
  private static func pen(_ index: Int) -> (color: String, stroke: String) {
    let (round, place) = index.quotientAndRemainder(dividingBy: colors.count)
    let dashes = ["", " stroke-dasharray=\"7 4\"", " stroke-dasharray=\"2 3\""]
    return (colors[place], "stroke=\"\(colors[place])\"\(dashes[round % dashes.count])")
  }

  func rendered() -> String {
    let named = series.filter { !$0.name.isEmpty }
    let longest = named.map(\.name.count).max() ?? 0
    let columns = max(1, Int((size.width - 84) / max(140, 7.5 * Double(longest) + 38)))
    let legend =
      named.count > 1 ? 18.0 * Double((named.count + columns - 1) / columns) + 8 : 0
    let frame = (left: 64.0, right: size.width - 20, top: 16.0 + legend, bottom: size.height - 48)
    let all = series.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
    let xs = Self.span(all.map(\.x) + marks.map(\.x), xRange)
    let ys = Self.span(all.map(\.y) + marks.map(\.y), yRange)
    let xTicks = Self.ticks(xs, most: Int((frame.right - frame.left) / 70))
    let yTicks = Self.ticks(ys, most: Int((frame.bottom - frame.top) / 36))
    func x(_ value: Double) -> Double {
      frame.left + (frame.right - frame.left) * (value - xs.lowerBound)
        / (xs.upperBound - xs.lowerBound)
    }
    func y(_ value: Double) -> Double {
      frame.bottom - (frame.bottom - frame.top) * (value - ys.lowerBound)
        / (ys.upperBound - ys.lowerBound)
    }
    var lines = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(f(size.width)) \(f(size.height))" \
      role="img" font-family="sans-serif" font-size="13">
      <rect class="paper" width="100%" height="100%" fill="#ffffff"/>
      """
    ]
    for tick in yTicks.values {
      lines.append(
        """
        <path class="grid" d="M\(f(frame.left)) \(f(y(tick)))H\(f(frame.right))" stroke="#dddddd"/>\
        \(text(frame.left - 8, y(tick) + 4, yTicks.text(tick), anchor: "end"))
        """)
    }
    for tick in xTicks.values {
      lines.append(
        """
        <path class="grid" d="M\(f(x(tick))) \(f(frame.bottom))v5" stroke="#999999"/>\
        \(text(x(tick), frame.bottom + 20, xTicks.text(tick), anchor: "middle"))
        """)
    }
    lines.append(
      """
      <path class="grid" d="M\(f(frame.left)) \(f(frame.bottom))H\(f(frame.right))" stroke="#999999"/>
      \(text((frame.left + frame.right) / 2, size.height - 8, xTitle, anchor: "middle"))
      """)
    let middle = (frame.top + frame.bottom) / 2
    lines.append(text(16, middle, yTitle, anchor: "middle", turned: true))
    for one in series {
      let pen = Self.pen(one.color)
      let points = one.points.filter { $0.x.isFinite && $0.y.isFinite }
      if one.style == .line {
        let path = points.map { "\(f(x($0.x))),\(f(y($0.y)))" }.joined(separator: " ")
        lines.append(
          "<polyline points=\"\(path)\" fill=\"none\" \(pen.stroke) stroke-width=\"2\"/>")
      }
      if one.style == .points || points.count <= 40 {
        lines += points.map {
          "<circle cx=\"\(f(x($0.x)))\" cy=\"\(f(y($0.y)))\" r=\"3.5\" fill=\"\(pen.color)\"/>"
        }
      }
    }
    for mark in marks {
      let isRight = x(mark.x) > (frame.left + frame.right) / 2
      lines.append(
        """
        <circle class="mark" cx="\(f(x(mark.x)))" cy="\(f(y(mark.y)))" r="8" fill="none" stroke="#333333" \
        stroke-width="1.5"/>\
        \(text(x(mark.x) + (isRight ? -13 : 13), y(mark.y) + (y(mark.y) > middle ? -8 : 16), mark.text, anchor: isRight ? "end" : "start"))
        """)
    }
    if legend > 0 {
      for (index, one) in named.enumerated() {
        let (row, column) = index.quotientAndRemainder(dividingBy: columns)
        let left = frame.left + Double(column) * (frame.right - frame.left) / Double(columns)
        let middle = 18.0 * Double(row) + 18
        lines.append(
          """
          <path d="M\(f(left)) \(f(middle - 4))h18" \(Self.pen(one.color).stroke) \
          stroke-width="3"/>\(text(left + 24, middle, one.name, anchor: "start"))
          """)
      }
    }
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }

  private func f(_ number: Double) -> String { String(format: "%.1f", number) }

  private func text(
    _ x: Double, _ y: Double, _ text: String, anchor: String, turned: Bool = false
  ) -> String {
    let turn = turned ? " transform=\"rotate(-90 \(f(x)) \(f(y)))\"" : ""
    return
      "<text class=\"ink\" x=\"\(f(x))\" y=\"\(f(y))\" text-anchor=\"\(anchor)\" fill=\"#333333\"\(turn)>"
      + "\(text.escapedForMarkup)</text>"
  }

  /// What an axis shows: all values, with some room.
  private static func span(_ values: [Double], _ least: ClosedRange<Double>?) -> ClosedRange<Double>
  {
    let all = values + (least.map { [$0.lowerBound, $0.upperBound] } ?? [])
    guard let low = all.min(), let high = all.max() else { return 0...1 }
    let room = high > low ? 0.04 * (high - low) : max(0.5, 0.05 * abs(high))
    return (low - room)...(high + room)
  }

  /// Round numbers at even distances.
  struct Ticks {
    var values: [Double]
    var step: Double

    func text(_ value: Double) -> String {
      let digits = max(0, Int((-log10(step)).rounded(.up)))
      return String(format: "%.\(digits)f", value)
    }
  }

  static func ticks(_ span: ClosedRange<Double>, most: Int) -> Ticks {
    let rough = (span.upperBound - span.lowerBound) / Double(max(1, most))
    let power = pow(10, log10(max(rough, 1e-12)).rounded(.down))
    let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? 10 * power
    let first = (span.lowerBound / step).rounded(.up)
    let values = (0...max(1, most)).map { (first + Double($0)) * step }
      .filter { $0 <= span.upperBound }
    return Ticks(values: values.map { $0 == 0 ? 0 : $0 }, step: step)
  }
}

extension String {
  /// As text of HTML and XML.
  var escapedForMarkup: String {
    var result = ""
    for character in self {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
