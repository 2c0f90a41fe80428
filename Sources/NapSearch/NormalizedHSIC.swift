package import NapKernels

/// How alike the features of layers are: the Hilbert-Schmidt independence criterion with a linear kernel, divided by
/// that of each with itself; also known as centered kernel alignment.
///
/// `1` for equal features; the same for features that are rotated or scaled. For Gaussian features, less of it is less
/// mutual information.
///
/// - Source: Gretton et al. 2005; Song et al. 2012 (unbiased); Zheng et al. 2021 (ITPruner), arXiv:2108.08532.
package enum NormalizedHSIC: Sendable {
  /// As published. Of few examples and many features it tends to 1.
  case biased
  /// Unbiased before it is normalized; may be below 0.
  case unbiased

  /// - Parameter grams: `X Xᵀ` of every layer's features `X`, one row per example: `[n, n]` each, with at least
  ///   four examples.
  /// - Returns: `[layers, layers]`, symmetric; 0 where a layer's features do not differ between examples.
  package func matrix(of grams: [Matrix]) -> Matrix {
    let centered = grams.map(centered)
    let norms = centered.map { inner($0, $0).squareRoot() }
    var result = Matrix(rows: grams.count, columns: grams.count)
    for i in grams.indices {
      for j in 0...i {
        let product = norms[i] * norms[j]
        let value = product > 0 ? inner(centered[i], centered[j]) / product : 0
        (result[i, j], result[j, i]) = (value, value)
      }
    }
    return result
  }

  private func centered(_ gram: Matrix) -> Matrix {
    var result = gram
    let n = gram.rows
    switch self {
    case .biased:
      let means = (0..<n).map { i in (0..<n).reduce(0) { $0 + gram[i, $1] } / Double(n) }
      let mean = means.reduce(0, +) / Double(n)
      for i in 0..<n { for j in 0..<n { result[i, j] += mean - means[i] - means[j] } }
    case .unbiased:
      // Székely's U-centering: the products of such matrices are the unbiased estimator.
      for i in 0..<n { result[i, i] = 0 }
      let sums = (0..<n).map { i in (0..<n).reduce(0) { $0 + result[i, $1] } }
      let (row, all) = (Double(n - 2), Double((n - 1) * (n - 2)))
      let total = sums.reduce(0, +) / all
      for i in 0..<n {
        for j in 0..<n {
          result[i, j] = i == j ? 0 : result[i, j] - sums[i] / row - sums[j] / row + total
        }
      }
    }
    return result
  }

  private func inner(_ a: Matrix, _ b: Matrix) -> Double {
    zip(a.elements, b.elements).reduce(0) { $0 + $1.0 * $1.1 }
  }
}
