import NapTensor

/// Numbers with a shape, row by row.
public struct NumericArray: Sendable, Hashable {
  /// Sizes of the axes, the first running slowest; the first of a batch counts examples.
  public let shape: [Int]
  public var values: [Float]

  /// - Precondition: there are as many values as the shape has room for.
  public init(shape: [Int], values: [Float]) {
    precondition(
      values.count == shape.elementCount, "\(values.count) values do not fill the shape \(shape)")
    (self.shape, self.values) = (shape, values)
  }
}

/// An input, output or target of every example.
public struct ArrayDescription: Sendable, Hashable {
  /// What its numbers are.
  public enum Numbers: Sendable, Hashable {
    case floats
    /// Whole numbers, such as tokens, or classes of unknown number; exact up to 2²⁴.
    case integers
    /// One of so many classes, counted from 0.
    case classes(Int)
  }

  /// The name of the network's input or output that it belongs to.
  public var name: String
  /// Of one example, without the batch; empty for a single number.
  public var shape: [Int]
  public var numbers: Numbers

  public init(name: String, shape: [Int], numbers: Numbers = .floats) {
    (self.name, self.shape, self.numbers) = (name, shape, numbers)
  }
}
