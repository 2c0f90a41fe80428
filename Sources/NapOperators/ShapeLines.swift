import NapTensor

extension [Int] {
  /// The elements of a dense array of this shape, line by line along an axis.
  ///
  /// The lines are in row-major order of the other axes.
  func lines(along axis: Int) -> [[Int]] {
    let own = axis < 0 ? axis + count : axis
    let (inner, size) = (self[(own + 1)...].product, self[own])
    return (0..<self[..<own].product).flatMap { outer in
      (0..<inner).map { i in (0..<size).map { (outer * size + $0) * inner + i } }
    }
  }
}
