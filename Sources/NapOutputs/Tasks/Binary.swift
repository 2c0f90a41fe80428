import Foundation
package import NapData
import NapTensor

/// A yes or no: one of an example, several at once, or one at every pixel.
package struct Binary: Task {
  package static let name = "binary"
  package static let summary = "a yes or no for each number: one, several labels at once, or a mask"

  package static func fit(
    _ output: OutputForm, _ target: Field, measuring samples: OutputSamples
  ) -> TaskFit? {
    guard output.isLike(target), let range = target.range, range.lowerBound >= 0,
      range.upperBound <= 1, target.isInteger || output.isYesOrNo
    else { return nil }
    return TaskFit(task: Binary(), kind: TwoClassLogits.self, axis: output.channelAxis)
  }

  package func problem(of number: Float, at place: OutputPlace) -> String? {
    (0...1).contains(number) ? nil : "\(number), but a yes or no lies in 0...1"
  }

  /// The mean over the positions of the sum over the channels, as `TwoClassLogits` has it.
  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let part = 1 / Float(max(1, place.positions))
    var sum = 0.0
    place.forEachNumber { i, _ in
      let z = y[i]
      let wanted = (1 - smoothing) * t[i] + smoothing / 2
      sum += Double(max(z, 0) - z * wanted + log1p(exp(-abs(z))))
      if let gradient { gradient[i] += factor * part * (sigmoid(z) - wanted) }
    }
    return sum * Double(part)
  }

  /// All, right; true yes, false yes, false no.
  package func tallies(at place: OutputPlace) -> Int { 5 }

  package func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double]
  ) {
    place.forEachNumber { i, _ in
      // What is not a number is the wrong answer.
      let wanted = t[i] > 0.5
      let said = y[i].isNaN ? !wanted : y[i] > 0
      sums[0] += 1
      if said == wanted { sums[1] += 1 }
      if said && wanted { sums[2] += 1 }
      if said && !wanted { sums[3] += 1 }
      if !said && wanted { sums[4] += 1 }
    }
  }

  package func metrics(of sums: [Double], at place: OutputPlace) -> [Metric] {
    let (yes, wrong) = (sums[2], sums[3] + sums[4])
    let accuracy = Metric("accuracy", sums[1] / max(1, sums[0]))
    let f1 = Metric("F1", 2 * yes / max(1, 2 * yes + wrong))
    if place.count == 1 { return [accuracy, f1] }
    return place.positions > 1
      ? [Metric("IoU", yes / max(1, yes + wrong)), accuracy] : [f1, accuracy]
  }
}
