import NapTensor

/// Some elements of a dense array, seen as a tensor: what moving data comes down to.
///
/// Element `(i₀, i₁, …)` of the view is element `offset + Σ iₖ · strides[k]` of the array. A slice
/// is a view of its input, an operand that is broadcast has stride 0, a padded tensor is a view of
/// its output. Reading a view and writing one are each other's derivative.
struct StridedView {
  var offset = 0
  var shape: [Int]
  var strides: [Int]

  init(offset: Int = 0, shape: [Int], strides: [Int]) {
    self.offset = offset
    self.shape = shape
    self.strides = strides
  }

  /// The box of `shape` that begins at `origin` in a dense array of shape `whole`.
  init(of whole: [Int], origin: [Int], shape: [Int]) {
    let strides = whole.rowMajorStrides
    self.init(
      offset: zip(origin, strides).reduce(0) { $0 + $1.0 * $1.1 }, shape: shape, strides: strides)
  }

  /// Calls `body` for every element, with its row-major position in the view and its index in
  /// the array.
  func forEach(_ body: (_ position: Int, _ index: Int) -> Void) {
    let count = shape.product
    guard count > 0 else { return }
    let length = shape.last ?? 1
    let stride = strides.last ?? 0
    var start = offset
    var counter = [Int](repeating: 0, count: Swift.max(shape.count - 1, 0))
    var position = 0
    while true {
      for i in 0..<length { body(position + i, start + i * stride) }
      position += length
      if position == count { return }
      for axis in counter.indices.reversed() {
        counter[axis] += 1
        start += strides[axis]
        if counter[axis] < shape[axis] { break }
        start -= shape[axis] * strides[axis]
        counter[axis] = 0
      }
    }
  }
}

extension Tensor {
  /// The elements of a view of this tensor, as a dense tensor.
  func reading(_ view: StridedView) -> Tensor {
    func read<T: AdditiveArithmetic>(_ source: [T]) -> [T] {
      var result = [T](repeating: .zero, count: view.shape.product)
      view.forEach { result[$0] = source[$1] }
      return result
    }
    return isFloat
      ? Tensor(shape: view.shape, floats: read(floats))
      : Tensor(shape: view.shape, integers: read(integers), elementType: elementType)
  }

  /// A tensor of `fill` into whose views the given tensors are written.
  init(
    shape: [Int], elementType: ElementType, fill: Float = 0, writing parts: [(StridedView, Tensor)]
  ) {
    func written<T>(_ fill: T, _ elements: (Tensor) -> [T]) -> [T] {
      var result = [T](repeating: fill, count: shape.product)
      for (view, part) in parts {
        let source = elements(part.converted(to: elementType))
        view.forEach { result[$1] = source[$0] }
      }
      return result
    }
    if elementType == .float32 {
      self.init(shape: shape, floats: written(fill, \.floats))
    } else {
      self.init(
        shape: shape, integers: written(Int64(truncating: Double(fill)), \.integers),
        elementType: elementType)
    }
  }

  /// The tensor with the same numbers in another type.
  ///
  /// Floats are rounded toward zero; those that do not fit become the nearest integer that does,
  /// and NaN becomes 0.
  func converted(to type: ElementType) -> Tensor {
    if type == .float32 {
      return isFloat ? inSinglePrecision : Tensor(shape: shape, floats: integers.map(Float.init))
    }
    guard type != elementType else { return self }
    let numbers: [Int64] =
      switch (type, isFloat) {
      case (.bool, true): reals.map { $0 == 0 ? 0 : 1 }
      case (.bool, false): integers.map { $0 == 0 ? 0 : 1 }
      case (.int32, true): reals.map { Int64(Int32(clamping: Int64(truncating: $0))) }
      case (.int32, false): integers.map { Int64(Int32(truncatingIfNeeded: $0)) }
      case (_, true): reals.map { Int64(truncating: $0) }
      case (_, false): integers
      }
    return Tensor(shape: shape, integers: numbers, elementType: type)
  }
}

extension Int64 {
  /// The number rounded toward zero and brought into range; 0 for NaN.
  init(truncating number: Double) {
    self =
      if number.isNaN { 0 } else {
        Int64(exactly: number.rounded(.towardZero)) ?? (number < 0 ? .min : .max)
      }
  }
}
