import NapTensor

/// One of the arrays that every example of a data set has: an input, or a target.
package struct Field: Sendable, Hashable {
  /// As the file calls it; empty where it has no name.
  package var name: String
  /// Of one example; empty for a single number.
  package var shape: [Int]
  /// Whether it holds whole numbers, such as tokens or classes.
  package var isInteger: Bool
  /// How many classes a target tells apart, where the data set lists them.
  package var classes: Int?
  /// The least and the largest number of a target's whole data set; `nil` where nobody looked.
  package var range: ClosedRange<Float>?

  package init(
    name: String = "", shape: [Int], isInteger: Bool = false, range: ClosedRange<Float>? = nil,
    classes: Int? = nil
  ) {
    self.classes = classes
    self.name = name
    self.shape = shape
    self.isInteger = isInteger
    self.range = range
  }

  package var count: Int { shape.product }

  /// `'mask' (integers [32, 32])`.
  package var description: String {
    let size = "[\(shape.map(String.init).joined(separator: ", "))]"
    return "\(name.isEmpty ? "" : "'\(name)' ")(\(isInteger ? "integers" : "floats") \(size))"
  }
}
