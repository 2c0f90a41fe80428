import Foundation
package import NapTensor

/// Probabilities of classes along the axis, behind a softmax that something else reads too.
package struct Probabilities: OutputKind {
  package static let name = "probabilities"
  package static let summary = "probabilities of classes along the axis, which sum to 1"
  package static let distribution: Distribution? = .classes

  /// Whether there is a class that most is said of, mostly; else they are shares, numbers between 0 and 1.
  private let isSure: Bool

  package init(measuring samples: OutputSamples, at place: OutputPlace) {
    var largest = 0.0
    samples.forEach { y in
      place.forEachPosition { start in
        let p = place.channels.indices.lazy.map { y[start + $0 * place.stride] }
        largest += Double(p.max() ?? 0)
      }
    }
    isSure = largest >= 0.5 * Double(samples.count * place.positions)
  }

  /// `KL(q ‖ p)`; through the softmax, its gradient is `p - q`.
  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let part = 1 / Float(max(1, place.positions))
    var sum = 0.0
    place.forEachNumber { i, _ in
      let (p, q) = (max(y[i], Self.least), max(t[i], 0))
      if q > 0 { sum += Double(q) * log(Double(q) / Double(p)) }
      if let gradient { gradient[i] = factor * part * -q / p }
    }
    return sum.atLeast(0) * Double(part)
  }

  private static let least: Float = 1e-9

  /// Random signs over `√p`: through the softmax they become those of `Logits`.
  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    let part = factor / Float(max(1, place.positions)).squareRoot()
    place.forEachNumber { i, _ in g[i] = signs.sign() * part / max(y[i], Self.least).squareRoot() }
  }

  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  {
    let (classes, stride) = (place.channels.count, place.stride)
    var p = [Float](repeating: 0, count: classes)
    var sum = 0.0
    place.forEachPosition { start in
      for k in 0..<classes { p[k] = y[start + k * stride] }
      sum += impurity(of: p)
    }
    return sum / Double(max(1, place.positions))
  }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    place.numbers(byChannel: samples.means(at: place).map { Float($0) })
  }

  package var measure: AgreementMeasure { isSure ? .choice : .variance(ofShares: false) }
}
