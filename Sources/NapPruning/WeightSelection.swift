import NapCurvature
package import NapGraph
package import NapKernels
import NapTensor

/// Chooses single weights by one global ranking, and lets the others make up for them.
///
/// Biases and normalizations are not pruned one by one. Weights that are zero already go first, so
/// that a gradual run never takes a weight back.
package struct WeightSelection {
  private let model: PruningModel
  private let layers: [LayerModel]

  package init(_ model: PruningModel) {
    self.model = model
    layers = model.layers.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Weights that could be removed.
  package var weightCount: Int {
    layers.reduce(0) { $0 + $1.shape.groups * $1.shape.outputs * $1.shape.inputs }
  }

  /// Sets the cheapest weights to zero until a share of all of them is zero.
  ///
  /// What a weight costs depends on which others are left to make up for it: criteria that count on
  /// compensation remove a tenth of what is left at a time.
  ///
  /// - Returns: for every weight constant, which of its elements are kept.
  package func prune(to sparsity: Double, criterion: any Criterion) -> [ValueID: [Bool]] {
    let target = weightCount - min(weightCount, Int((sparsity * Double(weightCount)).rounded()))
    guard target < weightCount else { return [:] }
    let threads = setLinearAlgebraThreads(1)
    defer { setLinearAlgebraThreads(threads) }
    if type(of: criterion).compensates {
      var left = layers.reduce(0) { $0 + $1.nonzeroCount }
      while left > target {
        left = max(target, Int(Self.keptAtOnce * Double(left)))
        _ = remove(downTo: left, criterion)
      }
    }
    return remove(downTo: target, criterion)
  }

  private static let keptAtOnce = 0.9

  private func remove(downTo left: Int, _ criterion: any Criterion) -> [ValueID: [Bool]] {
    let scores = layers.map { criterion.weightScores(in: $0) }
    let ranking = scores.flatMap { $0.flatMap(\.elements) }.sorted()
    let count = ranking.count - left
    guard count > 0 else { return [:] }
    let threshold = ranking[count - 1]
    // Of equal scores, only as many as are needed.
    var ties = count - ranking.prefix { $0 < threshold }.count
    var masks: [ValueID: [Bool]] = [:]
    for (layer, scores) in zip(layers, scores) {
      let kept = scores.map { matrix in
        matrix.elements.map { score -> Bool in
          if score == threshold, ties > 0 {
            ties -= 1
            return false
          }
          return score >= threshold
        }
      }
      for (group, kept) in kept.enumerated() {
        layer.keep(kept, group: group, compensating: type(of: criterion).compensates)
      }
      masks[layer.weight] = layer.mask(kept)
    }
    return masks
  }
}

extension LayerModel {
  /// Weights that are not zero.
  fileprivate var nonzeroCount: Int {
    weights.reduce(0) { sum, matrix in
      (0..<matrix.rows).reduce(sum) { sum, i in
        sum + (0..<shape.inputs).count { matrix[i, $0] != 0 }
      }
    }
  }

  /// The losses of removing single weights when the others *of their output that are left* make up
  /// for them, `[out, in]`: `½ G_ii W_ij² / [(A_KK)⁻¹]_jj` with the columns `K` of row `i` that are
  /// not zero; 0 for weights that are zero.
  ///
  /// - Cost: `O(|K|³)` a row.
  /// - Source: the quadratic form is that of Frantar & Alistarh 2022, arXiv:2208.11580.
  package func remainingLosses(group: Int) -> Matrix {
    guard let factors, let damped = dampedInput(group) else {
      return Matrix(rows: shape.outputs, columns: shape.inputs)
    }
    let (matrix, width) = (weights[group], shape.inputs)
    let shared = inputInverses[group]
    var result = [Double](repeating: 0, count: shape.outputs * width)
    result.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      parallel { part, parts in
        for i in stride(from: part, to: matrix.rows, by: parts) {
          let kept = (0..<width).filter { matrix[i, $0] != 0 }
          let all = kept + [width]
          let own =
            kept.count < width && kept.count <= Self.largestSystem
            ? damped.selecting(rows: all, columns: all).inverseOfPositiveDefinite : nil
          for (k, j) in kept.enumerated() {
            let freedom = own.map { $0[k, k] } ?? shared[j, j]
            losses[i * width + j] =
              0.5 * factors.groups[group].g[i, i] * matrix[i, j] * matrix[i, j] / freedom
          }
        }
      }
    }
    return Matrix(rows: shape.outputs, columns: width, elements: result)
  }

  /// The element-wise mask of the weight constant, given those of its matrices.
  fileprivate func mask(_ kept: [[Bool]]) -> [Bool] {
    let flags = kept.flatMap { $0.map { $0 ? Float(1) : 0 } }
    let matrices = Tensor(shape: [shape.groups, shape.outputs, shape.inputs], floats: flags)
    return op.weight(ofMatrices: matrices, shape: weightShape).floats.map { $0 != 0 }
  }

  /// Zeros all weights of a group but the kept ones.
  ///
  /// Compensation is exact row by row: with the kept columns `K` and the damped `A`, the minimizer of
  /// `(w' - w) A (w' - w)ᵀ` is `w'_K = [A_KK]⁻¹ (A wᵀ)_K`; equivalently, over the removed columns `J`,
  /// `w' = w - w_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`. The smaller of the two systems is solved.
  fileprivate func keep(_ kept: [Bool], group: Int, compensating: Bool) {
    let matrix = weights[group]
    let inverse = compensating ? inputInverses[group] : nil
    let damped = compensating ? dampedInput(group) : nil
    var rows = [[Double]](repeating: [], count: shape.outputs)
    rows.withUnsafeMutableBufferPointer { rows in
      nonisolated(unsafe) let rows = rows
      parallel { part, parts in
        for i in stride(from: part, to: matrix.rows, by: parts) {
          let flags = Array(kept[(i * shape.inputs)..<((i + 1) * shape.inputs)])
          let w = matrix.selecting(rows: [i], columns: Array(0...shape.inputs))
          rows[i] = Self.kept(flags, of: w, damped: damped, inverse: inverse).elements
        }
      }
    }
    set(
      Matrix(rows: shape.outputs, columns: shape.inputs + 1, elements: rows.flatMap { $0 }),
      group: group)
  }

  /// One row after the columns whose flag is false are gone.
  private static func kept(_ flags: [Bool], of w: Matrix, damped: Matrix?, inverse: Matrix?)
    -> Matrix
  {
    var row = w
    let gone = flags.indices.filter { !flags[$0] }
    let stays = flags.indices.filter { flags[$0] } + [flags.count]
    if gone.contains(where: { w[0, $0] != 0 }), let inverse, let damped,
      // Training makes up for what would take too long to solve.
      min(gone.count, stays.count) <= largestSystem
    {
      if stays.count <= gone.count {
        let right = (damped * w.transposed).selecting(rows: stays, columns: [0])
        if let solved = damped.selecting(rows: stays, columns: stays).solvingPositiveDefinite(right)
        {
          for (k, j) in stays.enumerated() { row[0, j] = solved[k, 0] }
        }
      } else {
        let right = w.selecting(columns: gone).transposed
        if let solved = inverse.selecting(rows: gone, columns: gone).solvingPositiveDefinite(right)
        {
          let change =
            solved.transposed
            * inverse.selecting(rows: gone, columns: Array(0...flags.count))
          for j in 0...flags.count { row[0, j] -= change[0, j] }
        }
      }
    }
    for j in gone { row[0, j] = 0 }
    return row
  }

  private static let largestSystem = 1024
}
