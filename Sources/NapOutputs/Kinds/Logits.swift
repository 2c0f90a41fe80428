import Foundation
import NapKernels
package import NapTensor

/// Logits of classes along the axis: a softmax of them is a distribution.
package struct Logits: OutputKind {
  package static let name = "logits"
  package static let summary = "logits of classes along the axis; the largest is the answer"
  package static let distribution: Distribution? = .softmax

  package init() {}
  package init(measuring samples: OutputSamples, at place: OutputPlace) {}

  /// `T² KL(q_T ‖ p_T)`.
  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let (classes, stride) = (place.channels.count, place.stride)
    let part = 1 / Float(max(1, place.positions))
    var (z, p, s, q) = (
      [Float](repeating: 0, count: classes), [Float](repeating: 0, count: classes),
      [Float](repeating: 0, count: classes), [Float](repeating: 0, count: classes)
    )
    var sum = 0.0
    place.forEachPosition { start in
      for k in 0..<classes {
        z[k] = y[start + k * stride]
        s[k] = t[start + k * stride]
      }
      let logP = softmax(z, classes, temperature: temperature, into: &p)
      let logQ = softmax(s, classes, temperature: temperature, into: &q)
      // `Σ q (r - 1 - log r)` with `r = p / q`: no term is negative, so that nothing cancels where
      // the two hardly differ.
      for k in 0..<classes {
        let d = Double((z[k] - s[k]) / temperature - (logP - logQ))
        sum += Double(q[k]) * (expm1(d) - d)
      }
      if let gradient {
        for k in 0..<classes {
          gradient[start + k * stride] = factor * part * temperature * (p[k] - q[k])
        }
      }
    }
    return sum * Double(part * temperature * temperature)
  }

  /// `v = √p ∘ e - p (√p · e)` with random signs `e`, whose second moment is exactly `diag(p) - p pᵀ`:
  /// the curvature in the logits of cross-entropy, times the squared temperature.
  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    let (classes, stride) = (place.channels.count, place.stride)
    let part = factor / Float(max(1, place.positions)).squareRoot()
    var z = [Float](repeating: 0, count: classes)
    var p = z
    place.forEachPosition { start in
      for k in 0..<classes { z[k] = y[start + k * stride] }
      softmax(z, classes, temperature: temperature, into: &p)
      var mean: Float = 0
      for k in 0..<classes {
        let signed = signs.sign() * p[k].squareRoot()
        g[start + k * stride] = signed
        mean += signed
      }
      for k in 0..<classes {
        g[start + k * stride] = part * (g[start + k * stride] - p[k] * mean)
      }
    }
  }

  /// `1 - Σ p²`.
  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  {
    let (classes, stride) = (place.channels.count, place.stride)
    var z = [Float](repeating: 0, count: classes)
    var p = z
    var sum = 0.0
    place.forEachPosition { start in
      for k in 0..<classes { z[k] = y[start + k * stride] }
      softmax(z, classes, temperature: temperature, into: &p)
      sum += impurity(of: p)
    }
    return sum / Double(max(1, place.positions))
  }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    let (classes, stride) = (place.channels.count, place.stride)
    var sums = [Double](repeating: 0, count: classes)
    var z = [Float](repeating: 0, count: classes)
    var p = z
    samples.forEach { y in
      place.forEachPosition { start in
        for k in 0..<classes { z[k] = y[start + k * stride] }
        softmax(z, classes, temperature: temperature, into: &p)
        for k in 0..<classes { sums[k] += Double(p[k]) }
      }
    }
    let count = Double(max(1, samples.count * place.positions))
    return place.numbers(
      byChannel: sums.map { temperature * Float(log(max($0 / count, 1e-12))) })
  }

  package var measure: AgreementMeasure { .choice }
}

/// `1 - Σ p²` of a distribution. Of the likeliest class, `1 - p` would be nothing but rounding.
func impurity(of p: [Float]) -> Double {
  let top = argmax(p, p.count)
  let others = p.indices.reduce(Float(0)) { $0 + ($1 == top ? 0 : p[$1]) }
  return p.indices.reduce(0) { $0 + Double(p[$1] * ($1 == top ? others : 1 - p[$1])) }
}
