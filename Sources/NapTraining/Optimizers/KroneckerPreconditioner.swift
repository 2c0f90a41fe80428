import NapKernels

/// Turns a weight's gradient towards the minimum of the loss: `G⁻¹ ∇W A⁻¹`, where the curvature along
/// the weight is about `A ⊗ G`.
///
/// - Source: Martens & Grosse 2015, arXiv:1503.05671; the length as in Agarwal et al. 2020,
///   arXiv:2002.11803.
package final class KroneckerPreconditioner: Preconditioner {
  private struct Group {
    let left: Factor
    let right: Factor
  }

  /// Of each group, the weight's rows and columns.
  private let rows: Int
  private let columns: Int
  private let groups: [Group]
  /// `∇W` times the right factors.
  private let product: AlignedBuffer
  /// Where the weight is no matrix: `∇W` as matrices, and where each element of them is in the weight.
  private var matrices: (gradient: AlignedBuffer, places: [Int])?

  /// `nil` where the curvature is not positive definite.
  package init?(_ curvature: KroneckerCurvature) {
    var groups: [Group] = []
    let isMatrix = curvature.outputsAreRows || curvature.kernel == 1
    for group in curvature.groups {
      guard let inputs = group.inputs.mapBlocks(\.inverseOfPositiveDefinite),
        let outputs = group.outputs.inverseOfPositiveDefinite
      else { return nil }
      let factors = (Factor(outputs), Factor(inputs))
      groups.append(
        curvature.outputsAreRows || !isMatrix
          ? Group(left: factors.0, right: factors.1) : Group(left: factors.1, right: factors.0))
    }
    self.groups = groups
    rows = groups[0].left.size
    columns = groups[0].right.size
    product = AlignedBuffer(bytes: 4 * groups.count * rows * columns)
    guard !isMatrix else { return }
    let places = groups.indices.flatMap { group in
      (0..<rows).flatMap { row in
        (0..<columns).map { curvature.place(group: group, row: row, column: $0) }
      }
    }
    matrices = (AlignedBuffer(bytes: 4 * places.count), places)
  }

  package var count: Int { groups.count * rows * columns }

  package func apply(to gradient: UnsafeMutablePointer<Float>) {
    keepingLength(of: gradient) {
      guard let (turned, places) = matrices.map({ ($0.gradient.floats, $0.places) }) else {
        return turn(gradient)
      }
      for (k, place) in places.enumerated() { turned[k] = gradient[place] }
      turn(turned)
      for (k, place) in places.enumerated() { gradient[place] = turned[k] }
    }
  }

  /// - Parameter gradient: matrices `[rows, columns]`, one after the other.
  private func turn(_ gradient: UnsafeMutablePointer<Float>) {
    for (index, group) in groups.enumerated() {
      let start = index * rows * columns
      let (g, p) = (gradient + start, product.floats + start)
      for (range, block) in group.right.blocks {
        multiply(
          g + range.lowerBound, block.floats, into: p + range.lowerBound, m: rows, n: range.count,
          k: range.count, rowStride: columns)
      }
      for (range, block) in group.left.blocks {
        let offset = range.lowerBound * columns
        multiply(
          block.floats, p + offset, into: g + offset, m: range.count, n: columns, k: range.count)
      }
    }
  }

  /// A block-diagonal matrix in single precision.
  private struct Factor {
    let size: Int
    let blocks: [(range: Range<Int>, elements: AlignedBuffer)]

    init(_ matrix: Matrix) { self.init(BlockDiagonalMatrix(matrix)) }

    init(_ matrix: BlockDiagonalMatrix) {
      size = matrix.size
      blocks = matrix.blocks.enumerated().map { index, block in
        let buffer = AlignedBuffer(bytes: 4 * block.elements.count)
        for (i, element) in block.elements.enumerated() { buffer.floats[i] = Float(element) }
        return (matrix.range(index), buffer)
      }
    }
  }
}
