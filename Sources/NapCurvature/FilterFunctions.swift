package import NapKernels
package import NapTensor

/// What makes two filters of a layer alike.
package enum FunctionSimilarity: Sendable, Hashable {
  /// The images that they answer most to.
  case pixels
  /// What all filters of the layer answer to these images, and what they themselves answer to those of
  /// the others.
  case answers
  /// What they answer to images of the data set.
  case correlation
}

/// What the filters of one layer respond to.
package struct FilterFunctions: Sendable, Codable {
  /// What every filter answers most to, `[filters, …]` in normalized pixels.
  package var images: Tensor
  /// `[filters, filters]`: what filter `k`, column, answers to the image of filter `i`, row.
  package var answers: Matrix
  /// Filters whose activation no input changes.
  package var silent: [Int]

  package init(images: Tensor, answers: Matrix, silent: [Int]) {
    (self.images, self.answers, self.silent) = (images, answers, silent)
  }

  /// From 0 for filters that do the same to 1 for those that have nothing in common.
  ///
  /// - Precondition: `similarity` is not `.correlation`, see `ActivationCorrelations`.
  package func distances(by similarity: FunctionSimilarity) -> Matrix {
    let count = answers.rows
    var result = Matrix(rows: count, columns: count)
    let distance = similarity == .pixels ? pixelDistance() : answerDistance()
    let silent = Set(silent)
    for i in 0..<count {
      for k in 0..<i {
        let far = silent.contains(i) || silent.contains(k)
        let value = far ? 1 : min(1, max(0, distance(i, k)))
        (result[i, k], result[k, i]) = (value, value)
      }
    }
    return result
  }

  /// Euclidean, of images of mean 0 and norm 1, by that of images that have nothing in common.
  private func pixelDistance() -> (Int, Int) -> Double {
    let size = images.count / max(1, answers.rows)
    let rows = (0..<answers.rows).map { row in
      standardized(images.floats[row * size..<(row + 1) * size].map(Double.init))
    }
    return { i, k in
      (zip(rows[i], rows[k]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 2).squareRoot()
    }
  }

  /// One less the mean of two cosines: of what two images call forth, and of what two filters answer,
  /// every filter's answers taken in units of their spread.
  private func answerDistance() -> (Int, Int) -> Double {
    let count = answers.rows
    let given = (0..<count).map { k in standardized((0..<count).map { answers[$0, k] }) }
    let called = (0..<count).map { i in normalized((0..<count).map { given[$0][i] }) }
    return { i, k in 1 - (dot(given[i], given[k]) + dot(called[i], called[k])) / 2 }
  }
}

/// Of mean 0 and norm 1; zeros of equal numbers.
private func standardized(_ numbers: [Double]) -> [Double] {
  let mean = numbers.reduce(0, +) / Double(max(1, numbers.count))
  return normalized(numbers.map { $0 - mean })
}

private func normalized(_ numbers: [Double]) -> [Double] {
  let norm = dot(numbers, numbers).squareRoot()
  return numbers.map { norm > 0 ? $0 / norm : 0 }
}

private func dot(_ a: [Double], _ b: [Double]) -> Double {
  zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}
