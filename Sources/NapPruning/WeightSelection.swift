package import NapGraph
import NapKernels
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
  /// - Returns: for every weight constant, which of its elements are kept.
  package func prune(to sparsity: Double, criterion: any Criterion) -> [ValueID: [Bool]] {
    let scores = layers.map { criterion.weightScores(in: $0) }
    let ranking = scores.flatMap { $0.flatMap(\.elements) }.sorted()
    let count = min(ranking.count, Int((sparsity * Double(ranking.count)).rounded()))
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
    let inverse = compensating ? inputInverses[group] : nil
    let damped = compensating ? dampedInput(group) : nil
    for row in 0..<shape.outputs {
      let flags = kept[(row * shape.inputs)..<((row + 1) * shape.inputs)]
      let gone = flags.indices.filter { !flags[$0] }.map { $0 - flags.startIndex }
      let lost = gone.filter { matrix[row, $0] != 0 }
      if !lost.isEmpty, let inverse, let damped {
        let stays =
          flags.indices.filter { flags[$0] }.map { $0 - flags.startIndex } + [shape.inputs]
        let w = matrix.selecting(rows: [row], columns: Array(0...shape.inputs))
        if min(gone.count, stays.count) > Self.largestSystem {
          // Training makes up for what would take too long to solve.
        } else if stays.count <= gone.count {
          let right = (damped * w.transposed).selecting(rows: stays, columns: [0])
          if let solved = damped.selecting(rows: stays, columns: stays).solvingPositiveDefinite(
            right)
          {
            for (k, j) in stays.enumerated() { matrix[row, j] = solved[k, 0] }
          }
        } else {
          let all = Array(0...shape.inputs)
          let right = w.selecting(columns: gone).transposed
          if let solved = inverse.selecting(rows: gone, columns: gone).solvingPositiveDefinite(
            right)
          {
            let change = solved.transposed * inverse.selecting(rows: gone, columns: all)
            for j in all { matrix[row, j] -= change[0, j] }
          }
        }
      }
      for j in gone { matrix[row, j] = 0 }
    }
    set(matrix, group: group)
  }

  private static let largestSystem = 1024
}
