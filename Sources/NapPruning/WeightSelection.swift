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
    guard type(of: criterion).compensates else { return remove(downTo: target, criterion) }
    var left = layers.reduce(0) { $0 + $1.nonzeroCount }
    var masks: [ValueID: [Bool]] = [:]
    repeat {
      left = max(target, Int(Self.keptAtOnce * Double(left)))
      masks = remove(downTo: left, criterion)
    } while left > target
    return masks
  }

  private static let keptAtOnce = 0.9

  private func remove(downTo left: Int, _ criterion: any Criterion) -> [ValueID: [Bool]] {
    let scores = layers.map { criterion.weightScores(in: $0) }
    let count = weightCount - left
    guard count > 0 else { return [:] }
    let (threshold, smaller) = Self.smallest(count, of: scores.flatMap { $0 })
    // Of equal scores, only as many as are needed.
    var ties = count - smaller
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

extension WeightSelection {
  /// The `count`-th smallest of all elements, and how many are smaller than it.
  ///
  /// - Cost: a few passes over the elements, where sorting millions of them takes many.
  private static func smallest(_ count: Int, of matrices: [Matrix])
    -> (threshold: Double, smaller: Int)
  {
    // The bits of floating point numbers that are not negative are in order; found 16 at a time.
    func key(_ x: Double) -> UInt64 { max(0, x).bitPattern }
    var (prefix, smaller) = (UInt64(0), 0)
    for shift in [48, 32, 16, 0] as [UInt64] {
      var counts = [Int](repeating: 0, count: 1 << 16)
      for matrix in matrices {
        for x in matrix.elements {
          let key = key(x)
          if shift == 48 || key >> (shift + 16) == prefix {
            counts[Int(key >> shift & 0xffff)] += 1
          }
        }
      }
      var digit = 0
      while smaller + counts[digit] < count {
        smaller += counts[digit]
        digit += 1
      }
      prefix = prefix << 16 | UInt64(digit)
    }
    return (Double(bitPattern: prefix), smaller)
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
          let slope = 0.5 * factors.groups[group].g[i, i]
          for (block, factor) in damped.blocks.enumerated() {
            let first = damped.bounds[block]
            let kept = (0..<factor.rows).filter {
              first + $0 == width || matrix[i, first + $0] != 0
            }
            let own =
              kept.count < factor.rows && kept.count <= Self.largestSystem
              ? factor.selecting(rows: kept, columns: kept).inverseOfPositiveDefinite : nil
            for (k, j) in kept.enumerated() where first + j < width {
              let freedom = own.map { $0[k, k] } ?? shared.blocks[block][j, j]
              let w = matrix[i, first + j]
              losses[i * width + first + j] = slope * w * w / freedom
            }
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
    var matrix = weights[group]
    let (inputs, width) = (shape.inputs, shape.inputs + 1)
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
    // Training makes up for what would take too long to solve.
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

  private static let largestSystem = 1024
}
