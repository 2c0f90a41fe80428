/// What the filters of a layer respond to, and which of them took over what others did.
public struct FunctionReport: Codable, Sendable, Equatable {
  /// A filter that went.
  public struct Removal: Codable, Sendable, Equatable {
    public var filter: Int
    /// The nearest filter of its cluster that was left; `nil` where there was none.
    public var successor: Int?
    /// Whether it never fired.
    public var isDead: Bool

    public init(filter: Int, successor: Int?, isDead: Bool) {
      (self.filter, self.successor, self.isDead) = (filter, successor, isDead)
    }

    enum CodingKeys: String, CodingKey {
      case filter
      case successor = "taken_over_by"
      case isDead = "dead"
    }
  }

  /// In which removal; filters are numbered as they were before it.
  public var round: Int
  public var layer: String
  /// Filters that do the same; those that never fired are in none.
  public var clusters: [[Int]]
  public var removed: [Removal]
  /// A picture of what every filter answers most to, in the directory of the run.
  public var sheet: String?

  public init(round: Int, layer: String, clusters: [[Int]], removed: [Removal], sheet: String?) {
    (self.round, self.layer, self.clusters) = (round, layer, clusters)
    (self.removed, self.sheet) = (removed, sheet)
  }
}

extension FunctionReport {
  /// A section of a page.
  ///
  /// - Parameter pictures: files of the run directory in Base64, by name.
  static func section(_ reports: [FunctionReport], _ pictures: [String: String]) -> Page.Section? {
    guard !reports.isEmpty else { return nil }
    let rounds = Set(reports.map(\.round)).count
    let parts = reports.map { report in
      let title =
        (rounds > 1 ? "Round \(report.round), " : "")
        + "\(report.layer): \(report.clusters.count) clusters, \(report.removed.count) filters went"
      let picture = report.sheet.flatMap { pictures[$0] }.map {
        "<img alt=\"\(title.escapedForMarkup)\" src=\"data:image/png;base64,\($0)\">"
      }
      return "<figure>\(picture ?? "")<figcaption>\(title.escapedForMarkup)"
        + "\(report.changes.isEmpty ? "" : ": ")\(report.changes.escapedForMarkup)</figcaption></figure>"
    }
    return Page.Section(
      title: "What filters respond to",
      content: Page.paragraph(
        "What every filter answers most to, in clusters of filters that do the same. Those in red frames went; 5 → 3 says that filter 3 took over from filter 5."
      ) + parts.joined(separator: "\n"))
  }

  /// Who took over from whom.
  private var changes: String {
    removed.map { removal in
      if removal.isDead { return "\(removal.filter) never fired" }
      return "\(removal.filter) → \(removal.successor.map(String.init) ?? "nobody")"
    }.joined(separator: ", ")
  }
}
