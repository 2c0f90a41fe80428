import Foundation

/// Columns of text: the first to the left, the others to the right.
public struct Table: Sendable {
  public var header: [String]
  public var rows: [[String]] = []

  public init(_ header: [String]) { self.header = header }

  public func rendered() -> String {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    func line(_ row: [String]) -> String {
      let cells = zip(row, widths).enumerated().map { column, cell in
        let padding = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + padding : padding + cell.0
      }
      var text = cells.joined(separator: "  ")
      while text.last == " " { text.removeLast() }
      return text
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
  }
}

/// `1.27 M`, `855.8 k`, `42`.
public func abbreviated(_ count: Int) -> String {
  switch abs(count) {
  case 1_000_000_000...: String(format: "%.2f G", Double(count) / 1e9)
  case 1_000_000...: String(format: "%.2f M", Double(count) / 1e6)
  case 10_000...: String(format: "%.1f k", Double(count) / 1e3)
  default: String(count)
  }
}

/// `64x3x3`, or `scalar`.
public func described(_ shape: [Int]) -> String {
  shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "x")
}
