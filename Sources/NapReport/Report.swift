/// What a command prints: text for people, or one JSON object.
public protocol Report: Codable {
  func renderedAsText() -> String
}
