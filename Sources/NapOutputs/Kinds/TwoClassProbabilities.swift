import Foundation
package import NapTensor

/// Probabilities each of a yes or no of its own, behind a sigmoid: a detector's rows of classes.
package struct TwoClassProbabilities: OutputKind {
  package static let name = "two-class-probabilities"
  package static let summary =
    "probabilities each of its own yes or no, such as a detector's classes"
  package static let distribution: Distribution? = .decisions

  /// Whether most answers are clear; else they are shares, numbers between 0 and 1.
  private let isSure: Bool

  package init(measuring samples: OutputSamples, at place: OutputPlace) {
    isSure = shareOfClearAnswers(samples, place) { $0 } >= 0.5
  }

  /// `KL` of the two distributions, the sum over the channels; through the sigmoid, its gradient is
  /// `p - q`.
  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let part = 1 / Float(max(1, place.positions))
    var sum = 0.0
    place.forEachNumber { i, _ in
      let (p, q) = (Self.inside(y[i]), Self.inside(t[i]))
      let (yes, no) = (log(Double(q) / Double(p)), log(Double(1 - q) / Double(1 - p)))
      sum += (Double(q) * yes + Double(1 - q) * no).atLeast(0)
      if let gradient { gradient[i] = factor * part * (p - q) / (p * (1 - p)) }
    }
    return sum * Double(part)
  }

  /// Away from 0 and 1, where nothing can be told any more.
  private static func inside(_ p: Float) -> Float { p.limited(to: 1e-7...(1 - 1e-6)) }

  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    let part = factor / Float(max(1, place.positions)).squareRoot()
    place.forEachNumber { i, _ in
      let p = Self.inside(y[i])
      g[i] = signs.sign() * part / (p * (1 - p)).squareRoot()
    }
  }

  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  {
    var sum = 0.0
    place.forEachNumber { i, _ in sum += Double(y[i] * (1 - y[i])) }
    return sum.atLeast(0) / Double(max(1, place.positions))
  }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    place.numbers(byChannel: samples.means(at: place).map { Float($0) })
  }

  package var measure: AgreementMeasure {
    isSure ? .decision(threshold: 0.5) : .variance(ofShares: false)
  }
}
