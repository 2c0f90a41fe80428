import Foundation

/// Columns of text: the first to the left, the others to the right.
public struct Table: Sendable {
  public var header: [String]
  public var rows: [[String]] = []

  public init(_ header: [String]) { self.header = header }

  /// - Parameter room: columns of the terminal; names in the first column are cut in the middle where all is
  ///   wider, down to a dozen characters.
  public func rendered(room: Int = 80) -> String {
    var all = ([header] + rows).map { $0.map(\.inOneLine) }
    var widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    let excess = widths.reduce(2 * (widths.count - 1), +) - room
    if excess > 0, let first = widths.first {
      widths[0] = min(first, max(12, first - excess))
      for row in all.indices { all[row][0] = all[row][0].cutInTheMiddle(to: widths[0]) }
    }
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
    return ([line(all[0]), rule] + all.dropFirst().map(line)).joined(separator: "\n")
  }
}

extension String {
  /// The text with its line breaks escaped: names in files are somebody else's, and a row of a table is one line.
  /// What else moves a terminal's cursor is escaped where text is written.
  var inOneLine: String {
    guard contains(where: \.isNewline) else { return self }
    return reduce(into: "") { text, character in
      text +=
        character.isNewline
        ? character.unicodeScalars.map { $0.escaped(asASCII: true) }.joined() : String(character)
    }
  }

  /// The text, or its beginning and its end where it is longer.
  func cutInTheMiddle(to length: Int) -> String {
    guard count > length, length > 1 else { return self }
    let tail = (length - 1) * 2 / 3
    return prefix(length - 1 - tail) + "…" + suffix(tail)
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
