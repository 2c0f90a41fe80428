import NapTensor

/// What is left of an axis, however often it was cut.
package struct AxisCut: Sendable, Hashable {
  /// Of the axis as it came.
  package let size: Int
  /// Ascending indices into the axis as it came.
  package private(set) var kept: [Int]

  /// An axis that is whole.
  package init(size: Int) {
    self.size = size
    kept = Array(0..<size)
  }

  /// The axis after another cut, which keeps some positions of what was left.
  package func keeping(_ positions: [Int]) -> AxisCut {
    var result = self
    result.kept = positions.map { kept[$0] }
    return result
  }
}

/// Indices are coded as bytes: networks have many.
extension AxisCut: Codable {
  private enum Keys: String, CodingKey {
    case size, kept
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(size, forKey: .size)
    try container.encode(Tensor(kept), forKey: .kept)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    size = try container.decode(Int.self, forKey: .size)
    kept = try container.decode(Tensor.self, forKey: .kept).integers.map { Int($0) }
  }
}
