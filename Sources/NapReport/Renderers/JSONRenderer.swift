import Foundation

extension Encodable {
  /// The report as one JSON object, keys in alphabetical order.
  public func renderedAsJSON() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
