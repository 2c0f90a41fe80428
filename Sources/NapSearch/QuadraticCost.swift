package import NapKernels

/// A cost as a polynomial of second degree in the shares of sets that are kept: exact for multiply-accumulates and
/// parameters, as a layer's are the product of its inputs and outputs; what fits best at a few widths otherwise.
package struct QuadraticCost: Sendable {
  /// `c + a·x + xᵀ Q x`, with `Q` upper triangular, in parts of the whole network's cost.
  package let constant: Double
  package let linear: [Double]
  package let quadratic: Matrix

  package init(_ space: WidthSpace) {
    let full = space.full
    let whole = Double(max(1, space.cost(of: full)))
    func cost(_ changes: [(set: Int, width: Int)]) -> Double {
      var widths = full
      for (set, width) in changes { widths[set] = width }
      return Double(space.cost(of: widths)) / whole
    }
    let half = full.map { max(1, $0 / 2) }
    let shares = zip(half, full).map { Double($0) / Double($1) }
    let halved = full.indices.map { cost([($0, half[$0])]) }
    var quadratic = Matrix(rows: full.count, columns: full.count)
    var slopes = [Double](repeating: 0, count: full.count)
    for i in full.indices where full[i] > 1 {
      let slope = (1 - halved[i]) / (1 - shares[i])
      slopes[i] = slope
      let quarter = max(1, full[i] / 4)
      if quarter < half[i] {
        let share = Double(quarter) / Double(full[i])
        let outer = (1 - cost([(i, quarter)])) / (1 - share)
        quadratic[i, i] = (slope - outer) / (shares[i] - share)
        slopes[i] -= quadratic[i, i] * (1 + shares[i])
      }
      for j in 0..<i where full[j] > 1 {
        let both = cost([(i, half[i]), (j, half[j])])
        quadratic[j, i] = (both - halved[i] - halved[j] + 1) / ((1 - shares[i]) * (1 - shares[j]))
      }
    }
    linear = full.indices.map { i in
      let mixed = full.indices.reduce(0) { sum, j in
        j == i ? sum : sum + quadratic[min(i, j), max(i, j)]
      }
      return full[i] > 1 ? slopes[i] - mixed : 0
    }
    constant = 1 - linear.reduce(0, +) - quadratic.elements.reduce(0, +)
    self.quadratic = quadratic
  }

  package func value(at shares: [Double]) -> Double {
    var sum = constant
    for i in shares.indices {
      sum += linear[i] * shares[i]
      for j in i..<shares.count { sum += quadratic[i, j] * shares[i] * shares[j] }
    }
    return sum
  }

  package func gradient(at shares: [Double]) -> [Double] {
    shares.indices.map { i in
      shares.indices.reduce(linear[i] + quadratic[i, i] * shares[i]) {
        $0 + quadratic[min(i, $1), max(i, $1)] * shares[$1]
      }
    }
  }
}
