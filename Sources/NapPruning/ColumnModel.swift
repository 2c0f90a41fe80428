import NapKernels

/// What the quadratic model says of the columns of a weight matrix while columns and rows go.
///
/// Scores are asked for far more often than anything is removed, so what a score takes is kept up to
/// date: it costs `O(|J|³)` for `|J|` columns, whatever the size of the layer.
struct ColumnModel {
  /// Damped `A⁻¹`, down-dated.
  private(set) var inverse: BlockDiagonalMatrix
  /// `Wᵀ G W` within the blocks of `A`; `nil` until a loss is asked for.
  private var products: BlockDiagonalMatrix?

  init(inverse: BlockDiagonalMatrix) { self.inverse = inverse }

  /// `½ tr(G W_J ([A⁻¹]_JJ)⁻¹ W_Jᵀ)`: the loss when columns go and the others make up for them.
  mutating func loss(removing columns: [Int], of weights: Matrix, g: Matrix) -> Double {
    let products = products ?? Self.products(of: weights, g, like: inverse)
    self.products = products
    return inverse.split(columns).reduce(0) { sum, part in
      let corner = inverse.blocks[part.block].selecting(rows: part.local, columns: part.local)
      let product = products.blocks[part.block].selecting(rows: part.local, columns: part.local)
      return sum + 0.5 * (corner.solvingPositiveDefinite(product) ?? product).trace
    }
  }

  private static func products(of weights: Matrix, _ g: Matrix, like inverse: BlockDiagonalMatrix)
    -> BlockDiagonalMatrix
  {
    // Block by block: those of the largest layers take gigabytes.
    BlockDiagonalMatrix(
      inverse.blocks.indices.map { block in
        let w = weights.selecting(columns: Array(inverse.range(block)))
        var product = Matrix(rows: w.columns, columns: w.columns)
        product.add(transposed: w, g * w, factor: 1)
        return product
      })
  }

  /// Forgets what depends on the weights.
  mutating func forgetWeights() { products = nil }

  /// The other columns change by `-W_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`, the minimizer of the quadratic model.
  mutating func compensate(removing columns: [Int], of weights: inout Matrix) {
    for (block, local) in inverse.split(columns) {
      let corner = inverse.blocks[block].selecting(rows: local, columns: local)
      let strip = inverse.blocks[block].selecting(rows: local)
      guard let change = corner.solvingPositiveDefinite(strip) else { continue }
      let range = inverse.range(block)
      let removed = weights.selecting(columns: local.map { range.lowerBound + $0 })
      weights.add(removed, change, factor: -1, columns: range)
      inverse.blocks[block].add(transposed: strip, change, factor: -1)
      guard products != nil else { continue }
      // `(W - W_J C)ᵀ G (W - W_J C)` with the change `C`.
      var half = products?.blocks[block].selecting(rows: local) ?? Matrix(rows: 0, columns: 0)
      half.add(half.selecting(columns: local), change, factor: -0.5)
      products?.blocks[block].subtract(symmetric: change, half)
    }
  }

  /// Zeros columns, after they have been compensated for.
  mutating func clear(columns: [Int], of weights: inout Matrix) {
    for column in columns {
      for i in 0..<weights.rows { weights[i, column] = 0 }
      let block = inverse.block(of: column)
      let j = column - inverse.bounds[block]
      inverse.blocks[block].clear(j)
      inverse.blocks[block][j, j] = Self.gone
      products?.blocks[block].clear(j)
    }
  }

  /// What stands on the diagonal of a down-dated inverse where the column is gone: any positive
  /// number keeps the matrix invertible, and the weight there is zero.
  private static let gone = 1.0

  /// Zeros rows; the outputs that are left do not make up for them.
  mutating func clear(rows: [Int], of weights: inout Matrix, g: Matrix) {
    let removed = weights.selecting(rows: rows)
    for row in rows { for j in 0..<weights.columns { weights[row, j] = 0 } }
    guard products != nil else { return }
    // With the rows `W_R` and what is left, `V`: `WᵀGW - VᵀGV = W_RᵀH + HᵀW_R`.
    var half = g.selecting(rows: rows) * weights
    half.add(g.selecting(rows: rows, columns: rows), removed, factor: 0.5)
    for block in inverse.blocks.indices {
      let columns = Array(inverse.range(block))
      products?.blocks[block].subtract(
        symmetric: removed.selecting(columns: columns), half.selecting(columns: columns))
    }
  }
}

extension Matrix {
  /// `self -= aᵀ b + bᵀ a`.
  fileprivate mutating func subtract(symmetric a: Matrix, _ b: Matrix) {
    add(transposed: a, b, factor: -1)
    add(transposed: b, a, factor: -1)
  }

  /// Zeros a row and the column of the same number.
  fileprivate mutating func clear(_ index: Int) {
    for i in 0..<rows {
      self[i, index] = 0
      self[index, i] = 0
    }
  }
}
