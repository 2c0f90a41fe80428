import Foundation
package import NapTensor

/// Logits each of a yes or no of its own, before a sigmoid.
package struct TwoClassLogits: OutputKind {
  package static let name = "two-class-logits"
  package static let summary = "logits each of its own yes or no, before a sigmoid"
  package static let distribution: Distribution? = .sigmoid

  /// Whether most answers are clear; else they are shares, numbers between 0 and 1.
  private let isSure: Bool

  package init(measuring samples: OutputSamples, at place: OutputPlace) {
    isSure = shareOfClearAnswers(samples, place) { sigmoid($0) } >= 0.5
  }

  /// `T² KL` of the two distributions, the sum over the channels.
  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let part = 1 / Float(max(1, place.positions))
    var sum = 0.0
    place.forEachNumber { i, _ in
      let (z, s) = (y[i] / temperature, t[i] / temperature)
      let (p, q) = (sigmoid(z), sigmoid(s))
      // `log p` and `log (1 - p)` from the logit, where the probability itself would be 0 or 1.
      let (yes, no) = (logSigmoid(s) - logSigmoid(z), logSigmoid(-s) - logSigmoid(-z))
      sum += Double(q * yes + (1 - q) * no).atLeast(0)
      if let gradient { gradient[i] = factor * part * temperature * (p - q) }
    }
    return sum * Double(part * temperature * temperature)
  }

  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    let part = factor / Float(max(1, place.positions)).squareRoot()
    place.forEachNumber { i, _ in
      let z = y[i] / temperature
      g[i] = signs.sign() * part * (sigmoid(z) * sigmoid(-z)).squareRoot()
    }
  }

  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  {
    var sum = 0.0
    place.forEachNumber { i, _ in
      let z = y[i] / temperature
      sum += Double(sigmoid(z) * sigmoid(-z))
    }
    return sum / Double(max(1, place.positions))
  }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    var sums = [Double](repeating: 0, count: place.channels.count)
    samples.forEach { y in
      place.forEachNumber { i, k in sums[k] += Double(sigmoid(y[i] / temperature)) }
    }
    let count = Double(max(1, samples.count * place.positions))
    let logits = sums.map { sum in
      let p = min(max(sum / count, 1e-9), 1 - 1e-9)
      return temperature * Float(log(p / (1 - p)))
    }
    return place.numbers(byChannel: logits)
  }

  package var measure: AgreementMeasure {
    isSure ? .decision(threshold: 0) : .variance(ofShares: true)
  }
}

func sigmoid(_ z: Float) -> Float { z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z)) }

private func logSigmoid(_ z: Float) -> Float { min(z, 0) - log1p(exp(-abs(z))) }

/// The share of numbers that say yes or no with 90 % of sureness or more.
func shareOfClearAnswers(
  _ samples: OutputSamples, _ place: OutputPlace, _ probability: (Float) -> Float
) -> Double {
  var clear = 0
  samples.forEach { y in
    place.forEachNumber { i, _ in
      let p = probability(y[i])
      if min(p, 1 - p) <= 0.1 { clear += 1 }
    }
  }
  return Double(clear) / Double(max(1, samples.count * place.count))
}
