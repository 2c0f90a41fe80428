import Foundation
package import NapData
import NapTensor

/// One of several classes: of an example, or at each of its positions, such as pixels and tokens.
///
/// Positions are left out where the target is -1 or -100, or 255 where there are fewer classes: as PyTorch and
/// data sets for segmentation mark what nobody knows.
///
/// - Source: Szegedy et al. 2016, arXiv:1512.00567, for smoothed labels.
package struct Classes: Task {
  package static let name = "classes"
  package static let summary = "one of several classes, of an example, a pixel or a token"

  /// Whether the positions are those of an image.
  private let isMap: Bool

  init(isMap: Bool) { self.isMap = isMap }

  package static func fit(
    _ output: OutputForm, _ target: Field, measuring samples: OutputSamples
  ) -> TaskFit? {
    guard let axis = axis(output, target) else { return nil }
    return TaskFit(
      task: Classes(isMap: target.shape.filter { $0 > 1 }.count > 1), kind: Logits.self, axis: axis)
  }

  /// The axis of the classes: without it, the output has the target's shape.
  static func axis(_ output: OutputForm, _ target: Field) -> Int? {
    guard target.isInteger, let range = target.range else { return nil }
    let sizes = target.shape.filter { $0 != 1 }
    let axes = output.shape.indices.filter { axis in
      let classes = output.shape[axis]
      var rest = output.shape
      rest.remove(at: axis)
      return classes > 1 && classes == target.classes ?? classes && rest.filter { $0 != 1 } == sizes
        && (range.upperBound < Float(classes) || isUnknown(range.upperBound, classes))
    }
    return axes.contains(output.channelAxis) ? output.channelAxis : axes.first
  }

  @inline(__always)
  static func isUnknown(_ number: Float, _ classes: Int) -> Bool {
    number == -1 || number == -100 || (number == 255 && classes <= 255)
  }

  /// Whether a position counts; what is no class never does, so that nothing is read beyond the output.
  @inline(__always)
  private static func counts(_ number: Float, _ classes: Int) -> Bool {
    number >= 0 && number < Float(classes)
  }

  package func problem(of number: Float, at place: OutputPlace) -> String? {
    let classes = place.channels.count
    return Self.counts(number, classes) || Self.isUnknown(number, classes)
      ? nil : "class \(String(format: "%g", number)), but there are \(classes) that count from 0"
  }

  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    smoothing: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let (classes, stride) = (place.channels.count, place.stride)
    var (known, position) = (0, 0)
    for n in 0..<place.positions where Self.counts(t[n], classes) { known += 1 }
    guard known > 0 else { return 0 }
    let part = 1 / Float(known)
    var p = [Float](repeating: 0, count: classes)
    var sum = 0.0
    place.forEachPosition { start in
      defer { position += 1 }
      guard Self.counts(t[position], classes) else { return }
      let label = Int(t[position])
      var (largest, mean) = (y[start], Float(0))
      for k in 0..<classes { largest = max(largest, y[start + k * stride]) }
      var total: Float = 0
      for k in 0..<classes {
        let z = y[start + k * stride]
        p[k] = exp(z - largest)
        total += p[k]
        mean += z
      }
      let target =
        (1 - smoothing) * y[start + label * stride] + smoothing * mean / Float(classes)
      sum += Double(largest + log(total) - target)
      guard let gradient else { return }
      for k in 0..<classes {
        let wanted = smoothing / Float(classes) + (k == label ? 1 - smoothing : 0)
        gradient[start + k * stride] += factor * part * (p[k] / total - wanted)
      }
    }
    return sum * Double(part)
  }

  /// All, right, among the first five; then of every class those that are it, are said to be it, and both.
  package func tallies(at place: OutputPlace) -> Int { 3 + (isMap ? 3 * place.channels.count : 0) }

  package func tally(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    into sums: inout [Double]
  ) {
    let (classes, stride) = (place.channels.count, place.stride)
    var position = 0
    place.forEachPosition { start in
      defer { position += 1 }
      guard Self.counts(t[position], classes) else { return }
      let label = Int(t[position])
      let own = y[start + label * stride]
      var (winner, above) = (0, 0)
      for k in 0..<classes {
        if y[start + k * stride] > y[start + winner * stride] { winner = k }
        if y[start + k * stride] > own { above += 1 }
      }
      sums[0] += 1
      // What is not a number is right about nothing.
      if winner == label, own.isFinite { sums[1] += 1 }
      if above < 5, own.isFinite { sums[2] += 1 }
      guard isMap else { return }
      sums[3 + 3 * label] += 1
      sums[3 + 3 * winner + 1] += 1
      if winner == label { sums[3 + 3 * label + 2] += 1 }
    }
  }

  package func metrics(of sums: [Double], at place: OutputPlace) -> [Metric] {
    let classes = place.channels.count
    let accuracy = Metric("accuracy", sums[1] / max(1, sums[0]))
    guard isMap else {
      return classes > 5 ? [accuracy, Metric("top 5", sums[2] / max(1, sums[0]))] : [accuracy]
    }
    let shares = (0..<classes).compactMap { k -> Double? in
      let (own, said, both) = (sums[3 + 3 * k], sums[4 + 3 * k], sums[5 + 3 * k])
      return own + said > 0 ? both / (own + said - both) : nil
    }
    let mean = shares.reduce(0, +) / Double(max(1, shares.count))
    return [Metric("mean IoU", mean), accuracy]
  }
}
