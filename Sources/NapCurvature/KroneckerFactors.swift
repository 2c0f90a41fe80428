package import NapKernels

/// The Kronecker factors of one affine layer: the Fisher block of each group is about `A ⊗ G`.
///
/// - Shapes: `A [in + 1, in + 1]`, `G [out, out]`; the last coordinate of the input is a constant 1,
///   so that the last column of the weight is the bias.
/// - Scale, over `N` examples and `T` shared positions (1 for `Gemm`, pixels for `Conv`; of all nodes that
///   read the weight together):
///   `A = 1/N · Σₙₜ a aᵀ` and `G = 1/(N·T) · Σₙₜ g gᵀ`, with `g` the gradient of *one example's*
///   loss. The product is comparable between layers; the factors alone are not.
/// - Source: Martens & Grosse 2015, arXiv:1503.05671; Grosse & Martens 2016, arXiv:1602.01407.
package struct KroneckerFactors: Sendable {
  package struct Group: Sendable {
    /// In blocks where the whole would be too large: inputs in different blocks then count as
    /// uncorrelated.
    package var a: BlockDiagonalMatrix
    package var g: Matrix

    package init(a: BlockDiagonalMatrix, g: Matrix) {
      self.a = a
      self.g = g
    }
  }

  package var groups: [Group]
  /// `E_n[(Σ_t g_t · z_t)²]`, `z` the pre-activation: the exact curvature along the layer's own
  /// weights, in nats.
  package var exactCurvature: Double

  package init(groups: [Group], exactCurvature: Double) {
    self.groups = groups
    self.exactCurvature = exactCurvature
  }

  /// Whether all numbers are finite; those beside a diagonal are no larger than those on it.
  package var isFinite: Bool {
    exactCurvature.isFinite
      && groups.allSatisfy { $0.a.blocks.allSatisfy(\.trace.isFinite) && $0.g.trace.isFinite }
  }

  /// Second moments of what some weights give, `W A Wᵀ` by group.
  ///
  /// - Parameter weights: `[out, in + 1]` by group.
  package func outputMoments(of weights: [Matrix]) -> [Matrix] {
    zip(groups, weights).map { ($1 * $0.a).times(transposed: $1) }
  }

  /// By what to multiply what the factors say of this layer so that layers can be compared: K-FAC
  /// takes derivatives at different positions for uncorrelated, which they are not before a pool.
  ///
  /// - Parameter moments: `outputMoments` of the layer's own weights; with them the factors give the
  ///   curvature `Σ tr(G W A Wᵀ)`.
  package func calibration(outputMoments moments: [Matrix]) -> Double {
    let approximate = zip(groups, moments).reduce(0) { $0 + $1.0.g.dot($1.1) }
    guard approximate > 0, exactCurvature > 0 else { return 1 }
    return exactCurvature / approximate
  }
}

extension KroneckerFactors.Group {
  /// Damped `A` of its inputs alone, without the constant one.
  package func dampedInputs(_ damping: Double) -> BlockDiagonalMatrix {
    var blocks = a.blocks
    let last = blocks.removeLast()
    let inputs = Array(0..<last.rows - 1)
    if !inputs.isEmpty { blocks.append(last.selecting(rows: inputs, columns: inputs)) }
    return Self.damped(BlockDiagonalMatrix(blocks), damping)
  }

  /// Damped `G`.
  package func dampedOutputs(_ damping: Double) -> Matrix {
    Self.damped(BlockDiagonalMatrix(g), damping).blocks[0]
  }

  /// The inverse of a damped factor; the identity when even strong damping does not make it
  /// definite.
  package static func dampedInverse(of factor: BlockDiagonalMatrix, _ damping: Double)
    -> BlockDiagonalMatrix
  {
    var strength = damping
    for _ in 0..<8 {
      // Block by block: of the largest factors, one more copy would be felt.
      let ridge = ridge(of: factor, strength)
      let inverse = factor.mapBlocks { block in
        var damped = block
        damped.add(toDiagonal: ridge)
        return damped.inverseOfPositiveDefinite
      }
      if let inverse { return inverse }
      strength *= 100
    }
    return BlockDiagonalMatrix(factor.blocks.map { .identity($0.rows) })
  }

  /// The same of a factor in one block.
  package static func dampedInverse(of factor: Matrix, _ damping: Double) -> Matrix {
    dampedInverse(of: BlockDiagonalMatrix(factor), damping).blocks[0]
  }

  /// A factor with factored Tikhonov damping.
  ///
  /// With `π² = (tr A / m) / (tr G / o)` and `λ = damping · (tr A / m) (tr G / o)`, the factors are
  /// `A + π √λ I` and `G + √λ/π I`: each gets `√damping` times its mean eigenvalue.
  /// - Source: Martens & Grosse 2015, section 6.3.
  package static func damped(_ factor: BlockDiagonalMatrix, _ damping: Double)
    -> BlockDiagonalMatrix
  {
    let ridge = ridge(of: factor, damping)
    var result = factor
    for block in result.blocks.indices { result.blocks[block].add(toDiagonal: ridge) }
    return result
  }

  private static func ridge(of factor: BlockDiagonalMatrix, _ damping: Double) -> Double {
    let mean = factor.trace / Double(max(1, factor.size))
    // A factor that is zero (a dead layer) has no scale of its own.
    return mean > 0 && mean.isFinite ? damping.squareRoot() * mean : 1
  }
}
