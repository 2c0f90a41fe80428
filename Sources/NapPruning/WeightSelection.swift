import NapCurvature
package import NapGraph
package import NapKernels
import NapTensor

/// Chooses single weights by one global ranking, and lets the others make up for them.
///
/// Biases and normalizations are not pruned one by one. Weights that are zero already go first, so
/// that a gradual run never takes a weight back.
package struct WeightSelection {
  /// Hears which step of how many comes next; what it throws stops the work.
  package typealias SelectionProgress = (_ step: Int, _ steps: Int) throws -> Void

  private let model: PruningModel
  private let layers: [LayerModel]

  package init(_ model: PruningModel) {
    self.model = model
    // What is read in several ways goes once.
    var seen: Set<ValueID> = []
    layers = model.layers.sorted { $0.key < $1.key }.map(\.value)
      .filter { seen.insert($0.weight).inserted }
  }

  /// Weights that could be removed.
  package var weightCount: Int {
    layers.reduce(0) { $0 + $1.shape.groups * $1.shape.outputs * $1.shape.inputs }
  }

  /// Sets the cheapest weights to zero until a share of all of them is zero.
  ///
  /// What a weight costs depends on which others are left to make up for it: criteria that count on
  /// compensation remove a part of what is left at a time, such as a tenth.
  ///
  /// - Parameter progress: hears of every layer that is scored, thinned or made up for.
  /// - Returns: for every weight constant, which of its elements are kept.
  package func prune(
    to sparsity: Double, criterion: any Criterion, progress: SelectionProgress = { _, _ in }
  ) rethrows -> [ValueID: [Bool]] {
    let target = weightCount - min(weightCount, Int((sparsity * Double(weightCount)).rounded()))
    guard target < weightCount else { return [:] }
    let threads = setLinearAlgebraThreads(1)
    defer { setLinearAlgebraThreads(threads) }
    let compensates = type(of: criterion).compensates
    let levels = compensates ? compensatedLevels(downTo: target) : [target]
    let steps = layers.count * (2 * levels.count + (compensates ? 1 : 0))
    var step = 0
    func advance() throws {
      step += 1
      try progress(step, steps)
    }
    var kept: [[[Bool]]] = []
    for left in levels { kept = try remove(downTo: left, criterion, advance) }
    if compensates {
      setLinearAlgebraThreads(threads)
      for (layer, kept) in zip(layers, kept) {
        try advance()
        layer.refine(kept)
      }
    }
    return zip(layers, kept).reduce(into: [:]) { $0[$1.0.weight] = $1.0.mask($1.1) }
  }

  /// How many weights are left after each step of a compensated removal.
  private func compensatedLevels(downTo target: Int) -> [Int] {
    var left = layers.reduce(0) { $0 + $1.nonzeroCount }
    // What layers that are made up for at the end cost does not change on the way.
    let changing = layers.reduce(0) { $0 + ($1.solvesRows ? $1.nonzeroCount : 0) }
    let keptAtOnce = 10 * changing < left ? 0.5 : 0.9
    var levels: [Int] = []
    repeat {
      left = max(target, Int(keptAtOnce * Double(left)))
      levels.append(left)
    } while left > target
    return levels
  }

  /// Keeps a pattern of weights in all layers whose inputs it divides; one weight of every group goes
  /// at a time.
  ///
  /// - Parameter progress: hears of every layer.
  /// - Returns: for every weight constant, which of its elements are kept.
  package func prune(
    to pattern: WeightPattern, criterion: any Criterion,
    progress: SelectionProgress = { _, _ in }
  ) rethrows -> [ValueID: [Bool]] {
    let threads = setLinearAlgebraThreads(1)
    defer { setLinearAlgebraThreads(threads) }
    var masks: [ValueID: [Bool]] = [:]
    for (step, layer) in layers.enumerated() {
      try progress(step + 1, layers.count)
      guard let groups = pattern.groups(of: layer) else { continue }
      var kept: [[Bool]] = []
      for count in (pattern.kept..<pattern.size).reversed() {
        let scores = criterion.weightScores(in: layer)
        kept = zip(scores, layer.weights).map {
          Self.best(count, of: groups, scores: $0, weights: $1)
        }
        for (group, kept) in kept.enumerated() {
          layer.keep(kept, group: group, compensating: type(of: criterion).compensates)
        }
      }
      setLinearAlgebraThreads(threads)
      if type(of: criterion).compensates { layer.refine(kept) }
      setLinearAlgebraThreads(1)
      masks[layer.weight] = layer.mask(kept)
    }
    return masks
  }

  /// The weights with the highest scores of every row's groups; zeros come last.
  private static func best(_ count: Int, of groups: [[Int]], scores: Matrix, weights: Matrix)
    -> [Bool]
  {
    var kept = [Bool](repeating: false, count: scores.elements.count)
    for i in 0..<scores.rows {
      for group in groups {
        let ranked = group.sorted {
          (weights[i, $0] != 0 ? 1 : 0, scores[i, $0], -$0)
            > (weights[i, $1] != 0 ? 1 : 0, scores[i, $1], -$1)
        }
        for j in ranked.prefix(count) { kept[i * scores.columns + j] = true }
      }
    }
    return kept
  }

  /// - Returns: by layer and group, which elements of the matrix are kept.
  private func remove(
    downTo left: Int, _ criterion: any Criterion, _ advance: () throws -> Void
  ) rethrows -> [[[Bool]]] {
    let scores = try layers.map {
      try advance()
      return criterion.weightScores(in: $0)
    }
    let count = weightCount - left
    let (threshold, smaller) = Self.smallest(count, of: scores.flatMap { $0 })
    // Of equal scores, only as many as are needed.
    var ties = count - smaller
    return try zip(layers, scores).map { layer, scores in
      try advance()
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
      return kept
    }
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
  /// - Cost: `O(|K|³)` a row; where that would take too long, all rows share `[A⁻¹]_jj`.
  /// - Source: the quadratic form is that of Frantar & Alistarh 2022, arXiv:2208.11580.
  package func remainingLosses(group: Int) -> Matrix {
    let (matrix, width) = (weights[group], shape.inputs)
    guard solvesRows, let damped = dampedInput(group) else {
      return sharedLosses(matrix, group: group)
    }
    let shared = inputInverses[group]
    var result = [Double](repeating: 0, count: shape.outputs * width)
    result.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      parallel { part, parts in
        for i in stride(from: part, to: matrix.rows, by: parts) {
          let slope = 0.5 * outputFactors[group][i, i]
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

  /// The same where all rows share `[A⁻¹]_jj`.
  private func sharedLosses(_ matrix: Matrix, group: Int) -> Matrix {
    var result = Matrix(rows: shape.outputs, columns: shape.inputs)
    guard !outputFactors.isEmpty else { return result }
    let (g, freedom) = (outputFactors[group], inputInverses[group].diagonal)
    for i in 0..<result.rows {
      for j in 0..<result.columns {
        result[i, j] = 0.5 * g[i, i] * matrix[i, j] * matrix[i, j] / freedom[j]
      }
    }
    return result
  }

  /// The element-wise mask of the weight constant, given those of its matrices.
  fileprivate func mask(_ kept: [[Bool]]) -> [Bool] {
    let flags = kept.flatMap { $0.map { $0 ? Float(1) : 0 } }
    let matrices = Tensor(shape: [shape.groups, shape.outputs, shape.inputs], floats: flags)
    return op.weight(ofMatrices: matrices, shape: weightShape).floats.map { $0 != 0 }
  }
}
