/// A copy between two dense arrays that walks each with strides of its own: what slicing, padding,
/// concatenating and transposing come down to.
///
/// - Units: offsets and strides count elements.
package struct StridedMove: Sendable, Hashable {
  package var shape: [Int]
  package var sourceOffset: Int
  package var sourceStrides: [Int]
  package var destinationOffset: Int
  package var destinationStrides: [Int]

  package init(
    shape: [Int], sourceOffset: Int = 0, sourceStrides: [Int], destinationOffset: Int = 0,
    destinationStrides: [Int]
  ) {
    self.shape = shape
    self.sourceOffset = sourceOffset
    self.sourceStrides = sourceStrides
    self.destinationOffset = destinationOffset
    self.destinationStrides = destinationStrides
  }

  /// The same elements, moved back.
  package var reversed: StridedMove {
    StridedMove(
      shape: shape, sourceOffset: destinationOffset, sourceStrides: destinationStrides,
      destinationOffset: sourceOffset, destinationStrides: sourceStrides)
  }

  /// Copies the elements; with `adding`, adds them to what is there.
  package func run(
    from source: UnsafePointer<Float>, to destination: UnsafeMutablePointer<Float>,
    adding: Bool = false
  ) {
    guard !shape.contains(0) else { return }
    guard let rows = shape.first, shape.count > 1 else {
      return copyRow(source + sourceOffset, destination + destinationOffset, adding)
    }
    // The outermost axis is shared between threads; its slices never overlap in the destination.
    parallel { part, parts in
      let from = rows * part / parts
      let to = rows * (part + 1) / parts
      for row in from..<to {
        copy(
          axis: 1, source + sourceOffset + row * sourceStrides[0],
          destination + destinationOffset + row * destinationStrides[0], adding)
      }
    }
  }

  private func copy(
    axis: Int, _ source: UnsafePointer<Float>, _ destination: UnsafeMutablePointer<Float>,
    _ adding: Bool
  ) {
    if axis == shape.count - 1 { return copyRow(source, destination, adding) }
    for i in 0..<shape[axis] {
      copy(
        axis: axis + 1, source + i * sourceStrides[axis],
        destination + i * destinationStrides[axis], adding)
    }
  }

  private func copyRow(
    _ source: UnsafePointer<Float>, _ destination: UnsafeMutablePointer<Float>, _ adding: Bool
  ) {
    let count = shape.last ?? 1
    let (s, d) = (sourceStrides.last ?? 1, destinationStrides.last ?? 1)
    if adding {
      for i in 0..<count { destination[i * d] += source[i * s] }
    } else if s == 1 && d == 1 {
      destination.update(from: source, count: count)
    } else {
      for i in 0..<count { destination[i * d] = source[i * s] }
    }
  }
}
