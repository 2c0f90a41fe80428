/// Networks of different sizes, and what they are worth.
public struct PointsReport: Report, Sendable, Equatable {
  public static let isComputed = false

  public var points: [PruningReport.Point]

  public init(points: [PruningReport.Point]) { self.points = points }
}
