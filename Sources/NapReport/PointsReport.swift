/// Networks of different sizes, and what they are worth.
public struct PointsReport: Codable, Sendable, Equatable {
  public var points: [PruningReport.Point]

  public init(points: [PruningReport.Point]) { self.points = points }
}
