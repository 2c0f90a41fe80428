import Foundation
package import NapData
import NapTensor

/// The token that follows, at every position of a text.
package struct NextToken: Task {
  package static let name = "next-token"
  package static let summary =
    "the token that follows, at every position: of data without targets, the input's own"

  private let classes = Classes(isMap: false)

  /// Fits what `Classes` fits, which is tried first: it is for those who ask for it.
  package static func fit(
    _ output: OutputForm, _ target: Field, measuring samples: OutputSamples
  ) -> TaskFit? {
    guard target.shape.count == 1, output.shape.count == 2, output.shape[0] == target.shape[0],
      Classes.axis(output, target) != nil
    else { return nil }
    return TaskFit(task: NextToken(), kind: Logits.self, axis: 1)
  }

  package func problem(of number: Float, at place: OutputPlace) -> String? {
    classes.problem(of: number, at: place)
  }

  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    classes.loss(
      of: y, towards: t, at: place, smoothing: smoothing, gradient: gradient, factor: factor)
  }

  /// Those of `Classes`; then texts, and the sum of their losses.
  package func tallies(at place: OutputPlace) -> Int { classes.tallies(at: place) + 2 }

  package func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double]
  ) {
    let before = sums[0]
    classes.tally(of: y, towards: t, at: place, into: &sums)
    let loss = loss(of: y, towards: t, at: place, smoothing: 0, gradient: nil, factor: 0)
    sums[3] += sums[0] - before
    sums[4] += loss * (sums[0] - before)
  }

  package func metrics(of sums: [Double], at place: OutputPlace) -> [Metric] {
    [
      Metric("accuracy", sums[1] / max(1, sums[0])),
      Metric("perplexity", exp(sums[4] / max(1, sums[3])), isShare: false),
    ]
  }
}
