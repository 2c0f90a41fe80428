import NapKernels
import NapOperators

/// How unlike a gate judges examples that look alike to its layer: `‖T - R‖² / n²`, with `T` the cosines between
/// what the gate says of `n` examples, and `R` those between the means of the layer's channels.
///
/// - Source: Tang et al. 2021, arXiv:2103.05861.
package struct GateSimilarity {
  private let weight: Float

  package init(weight: Double) { self.weight = Float(weight) }

  /// The loss; adds its gradient to that of the saliencies, and writes that of the means.
  ///
  /// - Parameters:
  ///   - saliencies: `[count, units]`.
  ///   - means: `[count, channels]`, of what the gate multiplies.
  package func loss(
    _ saliencies: UnsafePointer<Float>, units: Int, _ means: UnsafePointer<Float>, channels: Int,
    count: Int,
    gradients: (saliencies: UnsafeMutablePointer<Float>, means: UnsafeMutablePointer<Float>)
  ) -> Double {
    let probabilities = (0..<count * units).map { DrawnDecision.probability(saliencies[$0]) }
    let said = Directions(probabilities, count: count, size: units)
    let seen = Directions(
      Array(UnsafeBufferPointer(start: means, count: count * channels)), count: count,
      size: channels)
    let differences = zip(said.cosines, seen.cosines).map { $0 - $1 }
    let factor = weight / Float(count * count)
    let slopes = differences.map { 2 * factor * $0 }
    for (k, slope) in said.gradient(of: slopes).enumerated() {
      gradients.saliencies[k] += slope * DrawnDecision.slope(saliencies[k])
    }
    for (k, slope) in seen.gradient(of: slopes).enumerated() { gradients.means[k] = -slope }
    return differences.reduce(0) { $0 + Double($1 * $1) } * Double(factor)
  }

  /// Rows of length 1, and what they were.
  private struct Directions {
    private let rows: [Float]
    private let lengths: [Float]
    private let (count, size): (Int, Int)

    /// - Parameter rows: `[count, size]`.
    init(_ rows: [Float], count: Int, size: Int) {
      (self.count, self.size) = (count, size)
      let lengths = (0..<count).map { n in
        rows[n * size..<(n + 1) * size].reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
      self.rows = rows.enumerated().map { lengths[$0 / size] > 1e-6 ? $1 / lengths[$0 / size] : 0 }
      self.lengths = lengths
    }

    /// `[count, count]`.
    var cosines: [Float] {
      var result = [Float](repeating: 0, count: count * count)
      multiply(rows, rows, transposingB: true, into: &result, m: count, n: count, k: size)
      return result
    }

    /// The gradient by the rows as they were.
    ///
    /// - Parameter slopes: by `cosines`, symmetric.
    func gradient(of slopes: [Float]) -> [Float] {
      var result = [Float](repeating: 0, count: count * size)
      multiply(slopes, rows, into: &result, m: count, n: size, k: count)
      for n in 0..<count {
        let range = n * size..<(n + 1) * size
        let along = range.reduce(Float(0)) { $0 + result[$1] * rows[$1] }
        // What points nowhere is turned nowhere.
        for k in range {
          result[k] = lengths[n] <= 1e-6 ? 0 : 2 * (result[k] - along * rows[k]) / lengths[n]
        }
      }
      return result
    }
  }
}
