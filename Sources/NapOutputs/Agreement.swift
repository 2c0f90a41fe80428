import Foundation
import NapKernels
import NapTensor

/// How far two networks agree on one part of an output, in terms that their user knows.
package struct PartAgreement: Sendable, Hashable {
  package var output: String
  package var channels: Range<Int>
  package var kind: String
  /// `0...1`: what `measure` says, or the mean of what is explained of each channel.
  package var score: Double
  /// The share of equal decisions, in `0...1`.
  package var equalDecisions: Double?
  /// The standard error of `score` where it is a share of equal decisions, by how that differs among
  /// examples.
  package var standardError = 0.0
  package var explained: Explained?
  package var cosine: Double?

  /// How much of the variance over the data is explained, the mean over the channels and the least; -1
  /// stands for all that is worse.
  package struct Explained: Sendable, Hashable {
    package var mean: Double
    package var least: Double
    package var leastChannel: Int
  }
}

/// Compares what two networks say of many examples.
package struct AgreementMeter: Sendable {
  private let outputs: Outputs
  private var tallies: [[Tally]]
  package private(set) var count = 0

  package init(_ outputs: Outputs) {
    self.outputs = outputs
    tallies = outputs.meanings.map { $0.parts.map { Tally($0) } }
  }

  /// Adds the first `count` examples of a batch.
  package mutating func add(
    _ ys: [UnsafePointer<Float>], towards ts: [UnsafePointer<Float>], count: Int
  ) {
    self.count += count
    for (k, meaning) in outputs.meanings.enumerated() {
      for (p, part) in meaning.parts.enumerated() {
        for n in 0..<count {
          tallies[k][p].add(ys[k] + n * meaning.size, ts[k] + n * meaning.size, part)
        }
      }
    }
  }

  /// Part by part.
  package var parts: [PartAgreement] {
    zip(outputs.meanings, tallies).flatMap { meaning, tallies in
      zip(meaning.parts, tallies).map { $1.agreement($0, of: meaning.name) }
    }
  }

  /// The least of all parts: a network is worth what its worst output is.
  package var score: Double { count == 0 ? 0 : worst?.score ?? 0 }

  package var worst: PartAgreement? { parts.min { $0.score < $1.score } }

  /// What has been counted, for a job that is stopped and goes on; of the same outputs.
  package struct State: Codable {
    fileprivate var count: Int
    /// Output by output, part by part.
    fileprivate var tallies: [[[Data]]]
  }

  package var state: State {
    get { State(count: count, tallies: tallies.map { $0.map(\.numbers) }) }
    set {
      count = newValue.count
      for (k, parts) in newValue.tallies.enumerated() {
        for (p, numbers) in parts.enumerated() { tallies[k][p].numbers = numbers }
      }
    }
  }
}

/// Sums over examples of one part.
private struct Tally: Sendable {
  /// Equal answers and all answers, or twice what both say yes to and what either does.
  private var equal = 0.0
  private var all = 0.0
  /// By example, of the share of equal answers.
  private var shares = 0.0
  private var squaredShares = 0.0
  private var cosine = 0.0
  private var vectors = 0.0
  /// Number by number, from a first value on, so that little cancels.
  private var origins: [Float] = []
  private var sums: [Double] = []
  /// By channel.
  private var squares: [Double]
  private var errors: [Double]
  private var examples = 0

  init(_ part: OutputMeaning.Part) {
    squares = [Double](repeating: 0, count: part.place.channels.count)
    errors = squares
  }

  /// All that was counted.
  var numbers: [Data] {
    get {
      let scalars = [equal, all, shares, squaredShares, cosine, vectors, Double(examples)]
      return [Data(numbers: origins)] + [scalars, sums, squares, errors].map { Data(numbers: $0) }
    }
    set {
      precondition(newValue.count == 5)
      origins = newValue[0].numbers(Float.self)
      let scalars = newValue[1].numbers(Double.self)
      (equal, all, shares, squaredShares) = (scalars[0], scalars[1], scalars[2], scalars[3])
      (cosine, vectors, examples) = (scalars[4], scalars[5], Int(scalars[6]))
      (sums, squares) = (newValue[2].numbers(Double.self), newValue[3].numbers(Double.self))
      errors = newValue[4].numbers(Double.self)
    }
  }

  mutating func add(
    _ y: UnsafePointer<Float>, _ t: UnsafePointer<Float>, _ part: OutputMeaning.Part
  ) {
    let (place, stride) = (part.place, part.place.stride)
    let (equalBefore, allBefore) = (equal, all)
    defer {
      let share = all > allBefore ? (equal - equalBefore) / (all - allBefore) : 1
      shares += share
      squaredShares += share * share
      examples += 1
    }
    switch part.kind.measure {
    case .choice:
      let classes = place.channels.count
      place.forEachPosition { start in
        var (a, b) = (0, 0)
        for k in 1..<max(1, classes) {
          if y[start + k * stride] > y[start + a * stride] { a = k }
          if t[start + k * stride] > t[start + b * stride] { b = k }
        }
        // What is not a number agrees with nothing.
        if a == b, y[start + a * stride].isFinite { equal += 1 }
        all += 1
      }
    case .decision(let threshold):
      place.forEachNumber { i, _ in
        let (a, b) = (y[i] > threshold, t[i] > threshold)
        if place.count == 1 {
          equal += a == b && y[i].isFinite ? 1 : 0
          all += 1
        } else {
          equal += a && b ? 2 : 0
          all += (a ? 1 : 0) + (b ? 1 : 0)
        }
      }
      addVariance(y, t, place) { $0 }
    case .variance(let ofShares):
      if ofShares { addVariance(y, t, place, sigmoid) } else { addVariance(y, t, place) { $0 } }
    case .angle:
      place.forEachPosition { start in
        var (yt, yy, tt) = (0.0, 0.0, 0.0)
        for k in 0..<place.channels.count {
          let (a, b) = (Double(y[start + k * stride]), Double(t[start + k * stride]))
          yt += a * b
          yy += a * a
          tt += b * b
        }
        cosine += yt / max((yy * tt).squareRoot(), 1e-30)
        vectors += 1
      }
      addVariance(y, t, place) { $0 }
    }
  }

  @inline(__always)
  private mutating func addVariance(
    _ y: UnsafePointer<Float>, _ t: UnsafePointer<Float>, _ place: OutputPlace,
    _ value: (Float) -> Float
  ) {
    if origins.isEmpty {
      place.forEachNumber { i, _ in origins.append(value(t[i])) }
      sums = [Double](repeating: 0, count: origins.count)
    }
    var j = 0
    place.forEachNumber { i, k in
      let (a, b) = (Double(value(y[i])), Double(value(t[i])))
      let distance = b - Double(origins[j])
      sums[j] += distance
      squares[k] += distance * distance
      errors[k] += (a - b) * (a - b)
      j += 1
    }
  }

  func agreement(_ part: OutputMeaning.Part, of output: String) -> PartAgreement {
    var result = PartAgreement(
      output: output, channels: part.place.channels, kind: part.kind.name, score: 0)
    result.explained = explained(part)
    switch part.kind.measure {
    case .choice:
      result.equalDecisions = all > 0 ? equal / all : 0
    case .decision:
      // Where neither says yes to anything, decisions tell nothing.
      result.equalDecisions = all > 0 ? equal / all : nil
    case .variance: break
    case .angle: result.cosine = vectors > 0 ? cosine / vectors : 0
    }
    result.score = min(
      1, max(0, result.equalDecisions ?? result.cosine ?? result.explained?.mean ?? 0))
    if !result.score.isFinite { result.score = 0 }
    if result.equalDecisions != nil, examples > 1 {
      let count = Double(examples)
      let variance = max(0, squaredShares / count - (shares / count) * (shares / count))
      result.standardError = (variance / (count - 1)).squareRoot()
    }
    return result
  }

  /// Of a channel that hardly moves beside the kind's own scale, or of few examples, errors count in units
  /// of that.
  private func explained(_ part: OutputMeaning.Part) -> PartAgreement.Explained? {
    guard examples > 0, !origins.isEmpty else { return nil }
    let scales = (part.kind as? Numbers)?.scales
    let variances = variances(part.place)
    let largest = variances.max() ?? 0
    let numbers = Double(examples * part.place.positions)
    let isLittle = examples * part.place.positions < Numbers.fewExamples
    let shares = variances.indices.map { k -> Double in
      let scale = Double(scales?[k] ?? 0)
      let part = isLittle ? 1 : 1e-2
      let variance = max(variances[k], part * scale * scale, 1e-8 * largest, 1e-30)
      let share = 1 - errors[k] / numbers / variance
      return share.isFinite ? max(-1, share) : -1
    }
    guard let least = shares.min(), let channel = shares.firstIndex(of: least) else { return nil }
    return .init(
      mean: shares.reduce(0) { $0 + max(0, $1) } / Double(shares.count), least: least,
      leastChannel: part.place.channels.lowerBound + channel)
  }

  /// By channel, about what is said at a position on the average, see `Numbers`; of few examples, about the
  /// channel's mean.
  private func variances(_ place: OutputPlace) -> [Double] {
    let (count, positions) = (Double(examples), Double(place.positions))
    let areFew = examples < Numbers.fewExamples
    var result = squares.map { $0 / count / positions }
    var (means, j) = (result.map { _ in 0.0 }, 0)
    if areFew {
      place.forEachNumber { _, k in
        means[k] += (Double(origins[j]) + sums[j] / count) / positions
        j += 1
      }
      j = 0
    }
    place.forEachNumber { _, k in
      let mean = sums[j] / count
      // Of the distances from the origin, to those from the mean that counts.
      let offset = areFew ? Double(origins[j]) + mean - means[k] : 0
      result[k] += (offset * offset - mean * mean) / positions
      j += 1
    }
    let freedom = areFew ? 1 : count / (count - 1)
    return result.map { $0 * freedom }
  }
}
