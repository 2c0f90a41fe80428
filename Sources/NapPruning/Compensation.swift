import Foundation
import NapGraph
package import NapKernels
import NapTensor

/// How the single weights that are left make up for those that go.
extension LayerModel {
  /// Whether every row's own system is solved, at every step; where that would take too long, rows
  /// share what they cost, and make up for what has gone at the end.
  var solvesRows: Bool {
    let inverses = columnModels.first?.inverse.blocks ?? []
    let systems = inverses.reduce(0) { $0 + pow(Double(min($1.rows, Self.largestSystem)), 3) }
    return Double(shape.groups * shape.outputs) * systems <= 1e11
  }

  static let largestSystem = 1024

  /// Zeros all weights of a group but the kept ones.
  ///
  /// Compensation is exact row by row: with the kept columns `K` and the damped `A`, the minimizer of
  /// `(w' - w) A (w' - w)ᵀ` is `w'_K = [A_KK]⁻¹ (A wᵀ)_K`; equivalently, over the removed columns `J`,
  /// `w' = w - w_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`. The smaller of the two systems is solved.
  func keep(_ kept: [Bool], group: Int, compensating: Bool) {
    var matrix = weights[group]
    let (inputs, width) = (shape.inputs, shape.inputs + 1)
    let compensating = compensating && solvesRows && !isShared
    let inverse = compensating ? inputInverses[group] : nil
    // `W A`: what the weights that stay are to make up for.
    let pulls = (compensating ? dampedInput(group) : nil).map { (matrix * $0, $0) }
    matrix.elements.withUnsafeMutableBufferPointer { weights in
      nonisolated(unsafe) let weights = weights
      parallel { part, parts in
        for i in stride(from: part, to: shape.outputs, by: parts) {
          let row = UnsafeMutableBufferPointer(rebasing: weights[i * width..<(i + 1) * width])
          if let inverse, let (pulls, damped) = pulls {
            for block in damped.blocks.indices {
              let range = damped.range(block)
              // The constant 1, the last column of all, always stays.
              let flags = range.map { $0 == inputs || kept[i * inputs + $0] }
              Self.compensate(
                UnsafeMutableBufferPointer(rebasing: row[range]), keeping: flags,
                pulls: range.map { pulls[i, $0] }, damped.blocks[block], inverse.blocks[block])
            }
          }
          for j in 0..<inputs where !kept[i * inputs + j] { row[j] = 0 }
        }
      }
    }
    set(matrix, group: group)
  }

  /// Changes the weights of one row that stay, so that they make up for those that go.
  private static func compensate(
    _ row: UnsafeMutableBufferPointer<Double>, keeping flags: [Bool], pulls: [Double],
    _ damped: Matrix, _ inverse: Matrix
  ) {
    let gone = flags.indices.filter { !flags[$0] }
    let stays = flags.indices.filter { flags[$0] }
    guard gone.contains(where: { row[$0] != 0 }), min(gone.count, stays.count) <= largestSystem
    else { return }
    if stays.count <= gone.count {
      let right = Matrix(rows: stays.count, columns: 1, elements: stays.map { pulls[$0] })
      let system = damped.selecting(rows: stays, columns: stays)
      guard let solved = system.solvingPositiveDefinite(right) else { return }
      for (k, j) in stays.enumerated() { row[j] = solved[k, 0] }
    } else {
      let right = Matrix(rows: gone.count, columns: 1, elements: gone.map { row[$0] })
      let system = inverse.selecting(rows: gone, columns: gone)
      guard let solved = system.solvingPositiveDefinite(right) else { return }
      let all = Array(flags.indices)
      let change = solved.transposed * inverse.selecting(rows: gone, columns: all)
      for j in all { row[j] -= change[0, j] }
    }
  }

  /// Makes up for what has gone where `keep` has not: `min (w' - w) A (w' - w)ᵀ` over the weights of
  /// each row that are left, by some steps of conjugate gradients, scaled by the diagonal of `A`.
  ///
  /// - Cost: `2·o·m²` FLOPs a step, for all rows at once.
  func refine(_ kept: [[Bool]]) {
    guard !solvesRows, !isShared else { return }
    for group in kept.indices {
      guard let damped = dampedInput(group) else { return }
      var matrix = originalWeights[group]
      for (block, a) in damped.blocks.enumerated() {
        Self.refine(&matrix, columns: damped.range(block), keeping: kept[group], a)
      }
      set(matrix, group: group)
    }
  }

  /// Of conjugate gradients.
  package static let refinementSteps = 10

  /// - Shapes: `matrix [out, in + 1]` as it was, of which some `columns` change; `kept [out, in]`;
  ///   `a` damped, of those columns alone.
  package static func refine(
    _ matrix: inout Matrix, columns: Range<Int>, keeping kept: [Bool], _ a: Matrix
  ) {
    let (width, inputs) = (columns.count, matrix.columns - 1)
    let original = matrix.selecting(columns: Array(columns))
    let scales = (0..<width).map { 1 / a[$0, $0] }
    // The constant 1, the last column of all, always stays.
    func stays(_ i: Int, _ j: Int) -> Bool {
      let column = columns.lowerBound + j
      return column == inputs || kept[i * inputs + column]
    }
    var current = original
    for i in 0..<matrix.rows { for j in 0..<width where !stays(i, j) { current[i, j] = 0 } }
    var difference = original
    for i in difference.elements.indices { difference.elements[i] -= current.elements[i] }
    var residual = difference * a
    var direction = Matrix(rows: matrix.rows, columns: width)
    var previous = [Double](repeating: 0, count: matrix.rows)
    for _ in 0..<refinementSteps {
      residual.elements.withUnsafeMutableBufferPointer { residual in
        direction.elements.withUnsafeMutableBufferPointer { direction in
          for i in 0..<matrix.rows {
            var product = 0.0
            for j in 0..<width {
              let k = i * width + j
              if !stays(i, j) { residual[k] = 0 }
              product += residual[k] * residual[k] * scales[j]
            }
            let turn = previous[i] > 0 ? product / previous[i] : 0
            previous[i] = product
            for k in i * width..<(i + 1) * width {
              direction[k] = residual[k] * scales[k - i * width] + turn * direction[k]
            }
          }
        }
      }
      let image = direction * a
      let curvatures = direction.rowDots(image)
      for i in 0..<matrix.rows where curvatures[i] > 0 {
        let length = previous[i] / curvatures[i]
        for k in i * width..<(i + 1) * width {
          current.elements[k] += length * direction.elements[k]
          residual.elements[k] -= length * image.elements[k]
        }
      }
    }
    for i in 0..<matrix.rows {
      for j in 0..<width { matrix[i, columns.lowerBound + j] = current[i, j] }
    }
  }
}
