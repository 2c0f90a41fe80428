import NapCurvature
import NapGraph
package import NapKernels

/// What criteria ask of a layer besides losses.
extension LayerModel {
  /// The mean over the weights as they were, biases left out.
  func mean(_ value: (Double) -> Double) -> Double {
    var sum = 0.0
    for matrix in originalWeights {
      for i in 0..<matrix.rows { for j in 0..<shape.inputs { sum += value(matrix[i, j]) } }
    }
    return max(sum / Double(shape.groups * shape.outputs * shape.inputs), .leastNormalMagnitude)
  }

  /// The sum of the distances of every output's weights to those of the others of its group, by
  /// group mean.
  func filterDistances() -> [[Double]] {
    weights.map { matrix in
      var sums = [Double](repeating: 0, count: matrix.rows)
      for i in 0..<matrix.rows {
        for k in 0..<i {
          var square = 0.0
          for j in 0..<shape.inputs {
            let difference = matrix[i, j] - matrix[k, j]
            square += difference * difference
          }
          sums[i] += square.squareRoot()
          sums[k] += square.squareRoot()
        }
      }
      let mean = max(sums.reduce(0, +) / Double(max(1, sums.count)), .leastNormalMagnitude)
      return sums.map { $0 / mean }
    }
  }

  /// How every example's loss changes with a factor on some columns; empty without gradients.
  func gates(_ columns: [Int]) -> [Double] {
    guard let gates = gradients?.gates else { return [] }
    return (0..<gates.rows).map { n in columns.reduce(0) { $0 + gates[n, $1] } }
  }

  /// What the Kronecker factors say of some columns of the weights as they were:
  /// `tr(G W_J A_JJ W_Jᵀ)`.
  func curvature(ofColumns columns: [Int]) -> Double {
    guard let damped = dampedInput(0), let g = outputFactors.first else { return 0 }
    return damped.split(columns).reduce(0) { sum, part in
      let global = part.local.map { damped.bounds[part.block] + $0 }
      let w = originalWeights[0].selecting(columns: global)
      let a = damped.blocks[part.block].selecting(rows: part.local, columns: part.local)
      return sum + (g * w).dot(w * a)
    }
  }
}

extension [Double] {
  /// The mean of the squares; 0 of none.
  var meanSquare: Double { reduce(0) { $0 + $1 * $1 } / Double(Swift.max(1, count)) }
}
