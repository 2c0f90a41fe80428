import NapCurvature
import NapGraph
import NapKernels

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

  /// How every example's loss changes with a factor on some columns of a group; empty without gradients.
  func gates(_ columns: [Int], group: Int) -> [Double] {
    guard let gates = gradients?.gates else { return [] }
    let first = group * shape.inputs
    return (0..<gates.rows).map { n in columns.reduce(0) { $0 + gates[n, first + $1] } }
  }

  /// How the other columns of each group change when one goes with those of its unit: rows
  /// `([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:` of `[in, in + 1]`; zero for columns of no unit.
  ///
  /// - Parameter units: the columns of each, by group.
  func removalDirections(of units: [Int: [[Int]]]) -> [Matrix]? {
    guard !isShared, columnModels.count == shape.groups else { return nil }
    var result: [Matrix] = []
    for (group, inverse) in columnModels.map(\.inverse).enumerated() {
      // Of a layer whose inputs are split, the whole matrix would take too much memory.
      guard inverse.blocks.count == 1 else { return nil }
      var directions = Matrix(rows: shape.inputs, columns: shape.inputs + 1)
      for columns in units[group] ?? [] {
        let corner = inverse.blocks[0].selecting(rows: columns, columns: columns)
        let strip = inverse.blocks[0].selecting(rows: columns)
        guard let solved = corner.solvingPositiveDefinite(strip) else { return nil }
        for (k, j) in columns.enumerated() {
          for column in 0..<solved.columns { directions[j, column] = solved[k, column] }
        }
      }
      result.append(directions)
    }
    return result
  }
}

extension [Double] {
  /// The mean of the squares; 0 of none.
  var meanSquare: Double { reduce(0) { $0 + $1 * $1 } / Double(Swift.max(1, count)) }
}
