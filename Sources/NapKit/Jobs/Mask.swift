import Foundation

/// Which elements of a weight are kept.
struct Mask: Codable, Sendable {
  var isKept: [Bool]

  init(_ isKept: [Bool]) { self.isKept = isKept }

  /// A byte each.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Data(isKept.map { $0 ? 1 : 0 }))
  }

  init(from decoder: any Decoder) throws {
    isKept = try decoder.singleValueContainer().decode(Data.self).map { $0 != 0 }
  }
}
