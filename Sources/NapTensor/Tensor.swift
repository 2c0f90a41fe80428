/// A dense, row-major array of numbers with value semantics.
///
/// This is the currency of the *specification*: constants of a graph, constant folding, the plain
/// `forward` and `pullback` of operators, and tests. The engine works on its own planned memory.
package struct Tensor: Sendable, Hashable {
  package private(set) var shape: [Int]
  package let elementType: ElementType
  /// The elements of a `.float32` tensor; empty for the integer types.
  package var floats: [Float] {
    didSet {
      precondition(floats.count == oldValue.count, "a tensor's element count is fixed")
      doubles = nil
    }
  }
  /// The same elements in double precision where a file has them so, until a network computes with
  /// them: what follows from constants alone is as precise as it is there.
  package private(set) var doubles: [Double]?
  /// The elements of an integer or boolean tensor; empty for `.float32`.
  package private(set) var integers: [Int64]

  package init(shape: [Int], floats: [Float]) {
    precondition(shape.product == floats.count, "\(shape) does not hold \(floats.count) elements")
    self.shape = shape
    self.elementType = .float32
    self.floats = floats
    self.integers = []
  }

  package init(shape: [Int], integers: [Int64], elementType: ElementType = .int64) {
    precondition(
      shape.product == integers.count, "\(shape) does not hold \(integers.count) elements")
    precondition(elementType != .float32, "float tensors are made from floats")
    self.shape = shape
    self.elementType = elementType
    self.floats = []
    self.integers = integers
  }

  /// A `.float32` tensor that still knows its elements in double precision.
  package init(shape: [Int], doubles: [Double]) {
    self.init(shape: shape, floats: doubles.map { Float($0) })
    self.doubles = doubles
  }

  /// A `.float32` tensor with every element equal to `value`.
  package init(shape: [Int], repeating value: Float) {
    self.init(shape: shape, floats: Array(repeating: value, count: shape.product))
  }

  /// A one-dimensional `.int64` tensor.
  package init(_ integers: [Int]) {
    self.init(shape: [integers.count], integers: integers.map(Int64.init))
  }

  package var count: Int { shape.product }
  package var isFloat: Bool { elementType == .float32 }

  /// The elements of a `.float32` tensor, as precise as they are known.
  package var reals: [Double] { doubles ?? floats.map { Double($0) } }

  /// The numbers in double precision, whatever type they have.
  package var inDoublePrecision: Tensor {
    Tensor(shape: shape, doubles: isFloat ? reals : integers.map { Double($0) })
  }

  /// The tensor as networks compute with it.
  package var inSinglePrecision: Tensor {
    var result = self
    result.doubles = nil
    return result
  }

  /// The same elements under another shape of the same element count.
  package func reshaped(to shape: [Int]) -> Tensor {
    precondition(shape.product == count, "cannot reshape \(self.shape) to \(shape)")
    var result = self
    result.shape = shape
    return result
  }
}

extension Sequence<Int> {
  /// The product of the elements; 1 when there are none, as for the shape of a scalar.
  package var product: Int { reduce(1, *) }
}

extension [Int] {
  /// Row-major strides, in elements, of a dense array of this shape.
  package var rowMajorStrides: [Int] {
    var strides = [Int](repeating: 1, count: count)
    for axis in indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * self[axis + 1] }
    return strides
  }
}
