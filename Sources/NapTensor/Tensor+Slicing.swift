extension Tensor {
  /// The tensor with only the given indices of one axis, in the order given.
  package func selecting(_ indices: [Int], axis: Int) -> Tensor {
    let outer = shape[..<axis].reduce(1, *)
    let inner = shape[(axis + 1)...].reduce(1, *)
    var newShape = shape
    newShape[axis] = indices.count
    func gather<T>(_ source: [T]) -> [T] {
      var result: [T] = []
      result.reserveCapacity(outer * indices.count * inner)
      for o in 0..<outer {
        for i in indices {
          let start = (o * shape[axis] + i) * inner
          result.append(contentsOf: source[start..<start + inner])
        }
      }
      return result
    }
    if let doubles { return Tensor(shape: newShape, doubles: gather(doubles)) }
    return isFloat
      ? Tensor(shape: newShape, floats: gather(floats))
      : Tensor(shape: newShape, integers: gather(integers), elementType: elementType)
  }
}
