/// Networks of different sizes, and what they are worth.
public struct PointsReport: Report, Sendable, Equatable {
  public static let isComputed = false

  /// A network's file.
  public struct File: Codable, Sendable, Equatable {
    public var name: String
    public var bytes: Int

    public init(name: String, bytes: Int) {
      self.name = name
      self.bytes = bytes
    }
  }

  public var points: [PruningReport.Point]
  /// In the order of the points.
  public var files: [File] = []
  /// Of the original, measured as the points are; in percent.
  public var accuracyBefore: Double?

  enum CodingKeys: String, CodingKey {
    case points, files
    case accuracyBefore = "accuracy_before"
  }

  public init(points: [PruningReport.Point]) { self.points = points }
}
