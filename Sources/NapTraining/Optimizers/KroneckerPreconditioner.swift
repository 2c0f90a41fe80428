import Foundation
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

  // MARK: Coding
  /// The inverses, with the very bits that they have.
  package struct State: Codable {
    fileprivate struct Group: Codable {
      var left: Factor
      var right: Factor
    }

    fileprivate var groups: [Group]
    fileprivate var places: [Int]?

    fileprivate init(groups: [Group], places: [Int]?) {
      (self.groups, self.places) = (groups, places)
    }

    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      groups = try container.decode([Group].self, forKey: .groups)
      places = try container.decodeIfPresent([Int].self, forKey: .places)
      let sizes = Set(groups.map { [$0.left.size, $0.right.size] })
      let count = groups.count * (sizes.first ?? []).reduce(1, *)
      guard sizes.count == 1, places.map({ $0.sorted() == Array(0..<count) }) ?? true else {
        throw DecodingError.dataCorruptedError(
          forKey: .groups, in: container, debugDescription: "groups of unlike sizes")
      }
    }
  }

  package var state: State {
    State(
      groups: groups.map { State.Group(left: $0.left, right: $0.right) }, places: matrices?.places)
  }

  package init(_ state: State) {
    groups = state.groups.map { Group(left: $0.left, right: $0.right) }
    rows = groups[0].left.size
    columns = groups[0].right.size
    product = AlignedBuffer(bytes: 4 * groups.count * rows * columns)
    matrices = state.places.map { (AlignedBuffer(bytes: 4 * $0.count), $0) }
  }

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
  fileprivate struct Factor: Codable {
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

    private struct Block: Codable {
      var first: Int
      var count: Int
      var elements: Data
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(
        blocks.map { range, elements in
          Block(
            first: range.lowerBound, count: range.count,
            elements: Data(bytes: elements.floats, count: elements.bytes))
        })
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      let blocks = try container.decode([Block].self)
      var end = 0
      for block in blocks {
        guard block.first == end, (1...1 << 20).contains(block.count),
          block.elements.count == 4 * block.count * block.count
        else {
          throw DecodingError.dataCorruptedError(
            in: container, debugDescription: "blocks that are no block-diagonal matrix")
        }
        end += block.count
      }
      size = end
      self.blocks = blocks.map { block in
        let buffer = AlignedBuffer(bytes: block.elements.count)
        block.elements.copyBytes(
          to: UnsafeMutableRawBufferPointer(start: buffer.address, count: buffer.bytes))
        return (block.first..<block.first + block.count, buffer)
      }
    }
  }
}
