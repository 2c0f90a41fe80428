package import NapKernels

/// Turns a weight's gradient towards the minimum of the loss: `G⁻¹ ∇W A⁻¹`, where the curvature along
/// the weight is about `A ⊗ G`.
///
/// The result is as long as the gradient was, so that learning rates mean what they mean without it.
/// - Source: Martens & Grosse 2015, arXiv:1503.05671; the length as in Agarwal et al. 2020,
///   arXiv:2002.11803.
package final class KroneckerPreconditioner {
  /// The inverse factors of one group.
  package struct Inverses {
    /// `A⁻¹`, without the constant input that stands for the bias.
    package var inputs: BlockDiagonalMatrix
    /// `G⁻¹`.
    package var outputs: Matrix

    package init(inputs: BlockDiagonalMatrix, outputs: Matrix) {
      self.inputs = inputs
      self.outputs = outputs
    }
  }

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

  /// - Parameter outputsAreRows: whether the weight is `[groups · out, in]`, not `[in, out]`.
  package init(_ inverses: [Inverses], outputsAreRows: Bool) {
    precondition(!inverses.isEmpty && (outputsAreRows || inverses.count == 1))
    groups = inverses.map {
      let (inputs, outputs) = (Factor($0.inputs), Factor(BlockDiagonalMatrix($0.outputs)))
      return outputsAreRows
        ? Group(left: outputs, right: inputs) : Group(left: inputs, right: outputs)
    }
    rows = groups[0].left.size
    columns = groups[0].right.size
    product = AlignedBuffer(bytes: 4 * groups.count * rows * columns)
  }

  /// Elements of the weight.
  package var count: Int { groups.count * rows * columns }

  /// - Parameter gradient: `count` numbers, replaced.
  package func apply(to gradient: UnsafeMutablePointer<Float>) {
    let before = dotProduct(gradient, gradient, count: count)
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
    let after = dotProduct(gradient, gradient, count: count)
    let scale = after > 0 && after.isFinite ? Float((before / after).squareRoot()) : 0
    for i in 0..<count { gradient[i] *= scale }
  }

  /// A block-diagonal matrix in single precision.
  private struct Factor {
    let size: Int
    let blocks: [(range: Range<Int>, elements: AlignedBuffer)]

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
