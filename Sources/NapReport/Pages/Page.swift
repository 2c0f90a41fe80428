/// A page to read in a browser, on paper or on a phone: one file, nothing from elsewhere, no scripts.
public struct Page {
  struct Section {
    var title: String
    /// HTML.
    var content: String
  }

  var title: String
  /// In a few words, on top.
  var verdict: String
  /// Whether what was promised was kept; `nil` where nothing was.
  var isKept: Bool?
  var sections: [Section]

  public func rendered() -> String {
    let mark = isKept.map { $0 ? " class=\"kept\"" : " class=\"broken\"" } ?? ""
    let body = sections.map {
      "<section>\n<h2>\($0.title.escapedForMarkup)</h2>\n\($0.content)\n</section>"
    }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <link rel="icon" href="data:,">
      <title>\(title.escapedForMarkup)</title>
      <style>
      \(Self.style)
      </style>
      </head>
      <body>
      <main>
      <h1>\(title.escapedForMarkup)</h1>
      <p id="verdict"\(mark)>\(verdict.escapedForMarkup)</p>
      \(body.joined(separator: "\n"))
      </main>
      </body>
      </html>

      """
  }

  // MARK: Parts
  /// - Parameter highlighted: rows that stand out.
  static func table(_ header: [String], _ rows: [[String]], highlighted: Set<Int> = []) -> String {
    func cells(_ texts: [String], _ tag: String) -> String {
      texts.map { "<\(tag)>\($0.escapedForMarkup)</\(tag)>" }.joined()
    }
    let head = header.allSatisfy(\.isEmpty) ? "" : "<thead><tr>\(cells(header, "th"))</tr></thead>"
    let body = rows.enumerated().map { index, row in
      "<tr\(highlighted.contains(index) ? " class=\"chosen\"" : "")>\(cells(row, "td"))</tr>"
    }
    return
      "<div class=\"wide\"><table>\(head)<tbody>\(body.joined(separator: "\n"))</tbody></table></div>"
  }

  /// Names with what they are, such as `model: resnet.onnx`.
  static func facts(_ pairs: [(String, String)]) -> String {
    "<dl>"
      + pairs.map { "<dt>\($0.0.escapedForMarkup)</dt><dd>\($0.1.escapedForMarkup)</dd>" }
      .joined(separator: "\n") + "</dl>"
  }

  /// A bar for every row: of what is there, how much is left.
  static func bars(_ rows: [(name: String, share: Double, text: String)]) -> String {
    rows.map { name, share, text in
      let percent = 100 * min(1, max(0, share))
      // Long names are cut in the middle, before this.
      let tail = min(16, name.count)
      return """
        <div class="bar"><span class="name" title="\(name.escapedForMarkup)">\
        <span>\(String(name.dropLast(tail)).escapedForMarkup)</span>\
        <span>\(String(name.suffix(tail)).escapedForMarkup)</span></span>\
        <span class="track"><span style="width:\(percent)%"></span></span>\
        <span class="value">\(text.escapedForMarkup)</span></div>
        """
    }.joined(separator: "\n")
  }

  /// A plot, drawn twice: for phones, letters have to be larger beside it.
  static func figure(_ plot: Plot, _ caption: String) -> String {
    var small = plot
    small.size = (width: 380, height: 300)
    return """
      <figure><div class="large">\(plot.rendered())</div><div class="small">\(small.rendered())</div>\
      <figcaption>\(caption.escapedForMarkup)</figcaption></figure>
      """
  }

  static func paragraph(_ text: String) -> String { "<p>\(text.escapedForMarkup)</p>" }

  static func code(_ text: String) -> String { "<pre>\(text.escapedForMarkup)</pre>" }

  private static let style = """
    :root { color-scheme: light dark; --paper: #ffffff; --ink: #1d1f21; --soft: #5c6166; --line: #d9dcdf;
      --track: #e8eaec; --blue: #0072b2; --good: #00704f; --bad: #b03a00; }
    @media (prefers-color-scheme: dark) { :root { --paper: #16181a; --ink: #e6e8ea; --soft: #a3a9ae;
      --line: #383c40; --track: #2a2d31; --blue: #56b4e9; --good: #3fc79a; --bad: #ff8f5a; }
      svg .paper { fill: #16181a } svg .ink { fill: #d5d8da } svg .grid { stroke: #44494e }
      svg .mark { stroke: #e6e8ea } }
    * { box-sizing: border-box }
    body { margin: 0; background: var(--paper); color: var(--ink);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif }
    main { max-width: 860px; margin: 0 auto; padding: 24px 16px 64px }
    h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 8px; overflow-wrap: anywhere }
    h2 { font-size: 1.1rem; margin: 32px 0 8px; padding-top: 12px; border-top: 1px solid var(--line) }
    #verdict { font-size: 1.15rem; margin: 0 }
    #verdict.kept { color: var(--good) } #verdict.broken { color: var(--bad) }
    .wide { overflow-x: auto }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 50% }
    .wide + .wide, figure + .wide { margin-top: 1.2rem }
    th, td { text-align: right; padding: 3px 12px 3px 0; white-space: nowrap }
    th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line) }
    th:first-child, td:first-child { text-align: left }
    tr.chosen td { font-weight: 650 }
    dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 }
    dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
    figure { margin: 0 } figure img { max-width: 100% }
    figure svg { width: 100%; height: auto; display: block }
    figcaption { color: var(--soft); font-size: .9rem }
    pre { overflow-x: auto; background: var(--track); padding: 10px 12px; border-radius: 6px;
      font-size: .9rem; white-space: pre-wrap; overflow-wrap: anywhere }
    .bar { display: grid; grid-template-columns: minmax(90px, 34%) 1fr 132px; gap: 10px; align-items: center;
      font-size: .9rem; line-height: 1.6 }
    .bar .name { display: flex; min-width: 0; white-space: pre }
    .bar .name span:first-child { overflow: hidden; text-overflow: ellipsis }
    .small { display: none }
    .bar .track { height: 10px; border-radius: 5px; background: var(--track); overflow: hidden;
      -webkit-print-color-adjust: exact; print-color-adjust: exact }
    .bar .track span { display: block; height: 100%; background: var(--blue) }
    .bar .value { text-align: right; font-variant-numeric: tabular-nums; color: var(--soft) }
    @media (max-width: 520px) { .large { display: none } .small { display: block }
      table { font-size: .84rem } th, td { padding-right: 8px }
      th:last-child, td:last-child { padding-right: 0 }
      dl { grid-template-columns: 1fr } dt { margin-top: 6px }
      .bar { grid-template-columns: minmax(80px, 40%) 1fr 104px; gap: 6px; font-size: .82rem } }
    @media print { body { font-size: 11pt } main { max-width: none; padding: 0 }
      h2 { break-after: avoid } figure, tr, .bar, pre { break-inside: avoid } }
    """
}
