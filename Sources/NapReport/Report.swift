/// What a command prints: text for people, or one JSON object.
public protocol Report: Codable {
  func renderedAsText() -> String

  /// Whether it tells what was computed, which depends on what it was computed with.
  static var isComputed: Bool { get }
}

extension Report {
  public static var isComputed: Bool { true }
}

/// What reports were computed with.
public struct Circumstances: Codable, Sendable, Equatable {
  /// The version of nap, with the commit where it is known.
  public var version: String
  public var threads: Int
  /// When it was printed, such as `2026-11-26T13:15:35Z`.
  public var date: String
  /// The command as it is typed, and the options that were in force, by their long names.
  public var command: String
  public var settings: [String: String]

  public init(
    version: String, threads: Int, date: String, command: String, settings: [String: String]
  ) {
    self.version = version
    self.threads = threads
    self.date = date
    self.command = command
    self.settings = settings
  }

  enum CodingKeys: String, CodingKey {
    case version = "nap"
    case threads, date, command, settings
  }
}

/// A report, and what it was computed with.
public struct PrintedReport<Content: Report>: Encodable {
  public let report: Content
  public let circumstances: Circumstances

  public init(_ report: Content, _ circumstances: Circumstances) {
    self.report = report
    self.circumstances = circumstances
  }

  /// One object with the keys of both.
  public func encode(to encoder: any Encoder) throws {
    try report.encode(to: encoder)
    if Content.isComputed { try circumstances.encode(to: encoder) }
  }

  public func renderedAsText() -> String {
    let text = report.renderedAsText()
    guard Content.isComputed else { return text }
    let count = circumstances.threads
    return "\(text)\nnap \(circumstances.version), \(count) \(count == 1 ? "thread" : "threads")"
  }
}
