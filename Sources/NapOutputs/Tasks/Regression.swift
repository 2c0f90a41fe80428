package import NapData
import NapTensor

/// Numbers, each channel in units of its own spread over the data; errors of many spreads count linearly.
package struct Regression: Task {
  package static let name = "regression"
  package static let summary = "numbers, each channel in units of its own spread over the data"

  private let numbers: Numbers

  package static func fit(
    _ output: OutputForm, _ target: Field, measuring samples: OutputSamples
  ) -> TaskFit? {
    guard output.isLike(target) else { return nil }
    let place = OutputPlace(output.shape, axis: output.channelAxis)
    return TaskFit(
      task: Regression(numbers: Numbers(measuring: samples, at: place)), kind: Numbers.self,
      axis: output.channelAxis)
  }

  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    numbers.addLoss(of: y, towards: t, at: place, gradient: gradient, factor: factor)
  }

  /// Examples; then of every channel the sums of the targets, of their squares, of squared and of absolute
  /// errors, in units of the spread.
  package func tallies(at place: OutputPlace) -> Int { 1 + 4 * place.channels.count }

  package func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double]
  ) {
    sums[0] += 1
    place.forEachNumber { i, k in
      let (wanted, error) = (
        Double(t[i] / numbers.scales[k]), Double((y[i] - t[i]) / numbers.scales[k])
      )
      sums[1 + 4 * k] += wanted
      sums[2 + 4 * k] += wanted * wanted
      sums[3 + 4 * k] += error * error
      sums[4 + 4 * k] += abs(error)
    }
  }

  package func metrics(of sums: [Double], at place: OutputPlace) -> [Metric] {
    let count = max(1, sums[0] * Double(place.positions))
    let channels = place.channels.count
    let explained = (0..<channels).map { k in
      let mean = sums[1 + 4 * k] / count
      let variance = sums[2 + 4 * k] / count - mean * mean
      let share = 1 - sums[3 + 4 * k] / count / max(variance, 1e-12)
      return share.isFinite ? max(0, share) : 0
    }
    let errors = (0..<channels).map { sums[4 + 4 * $0] / count * Double(numbers.scales[$0]) }
    return [
      Metric("R²", explained.reduce(0, +) / Double(max(1, channels))),
      Metric("mean absolute error", errors.reduce(0, +) / Double(max(1, channels)), isShare: false),
    ]
  }
}
