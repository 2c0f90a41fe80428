package import NapTensor

/// What some numbers of an output say, and so what a difference between them costs: the one place that
/// losses, curvature, the choice of images and agreement ask.
///
/// All functions are about one example. `y` and `t` point to all numbers of the example's output.
package protocol OutputKind: Sendable {
  /// The name after `--outputs`, and in the report.
  static var name: String { get }
  /// One sentence for `--help`.
  static var summary: String { get }

  /// Measures what the kind needs to know, such as scales, on what a network says of some examples.
  init(measuring samples: OutputSamples, at place: OutputPlace)

  /// How far `y` is from `t`, the mean over the positions.
  ///
  /// - Parameters:
  ///   - temperature: what logits are divided by first; the loss is multiplied by its square.
  ///   - gradient: receives the derivatives by `y`, times `factor`, at the part's own numbers.
  func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double

  /// Writes a random gradient whose second moment is the loss's curvature at `y`.
  ///
  /// - Parameter factor: what the curvature is multiplied by, as a root.
  func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64)

  /// The trace of the curvature in the logits, where there are some: what the example has to say.
  func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float) -> Double

  /// What is best said of every example alike, number by number as `forEachNumber` goes.
  func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float) -> [Float]

  /// How agreement is told.
  var measure: AgreementMeasure { get }

  /// What its numbers say about classes; `nil` where there are none.
  static var distribution: Distribution? { get }
}

extension OutputKind {
  package var name: String { Self.name }
  package static var distribution: Distribution? { nil }
}

/// How numbers become probabilities.
package enum Distribution: Sendable, Hashable {
  /// By a softmax over the channels.
  case softmax
  /// They are: one of the channels is right.
  case classes
  /// By a sigmoid, each of its own.
  case sigmoid
  /// They are, each of its own.
  case decisions
}

/// How the agreement of two networks is told in terms that their user knows.
package enum AgreementMeasure: Sendable, Hashable {
  /// How often the largest of the numbers is the same.
  case choice
  /// How often the same is said yes to. Of single numbers, the share of equal answers; of maps, of what
  /// either says yes to, as nearly everything is a no there.
  case decision(threshold: Float)
  /// How much of the numbers' variance over the data is explained.
  ///
  /// `shares`: of the probabilities that logits stand for.
  case variance(ofShares: Bool)
  /// The cosine of the angle between vectors.
  case angle
}

/// Every kind: a new one is a file of its own and a line here.
package let allOutputKinds: [any OutputKind.Type] = [
  Logits.self,
  Probabilities.self,
  TwoClassLogits.self,
  TwoClassProbabilities.self,
  Numbers.self,
  UnitVectors.self,
]

/// Where in an output the numbers of one kind are: some channels of an axis, at all positions.
package struct OutputPlace: Sendable, Hashable {
  /// Of the axes before the channels', the batch left out.
  package let outer: Int
  /// Of the channels' axis.
  package let size: Int
  package let inner: Int
  package let channels: Range<Int>

  /// - Parameters:
  ///   - shape: of one example's output.
  ///   - axis: of that shape.
  package init(_ shape: [Int], axis: Int, channels: Range<Int>? = nil) {
    outer = shape[..<axis].product
    size = axis < shape.count ? shape[axis] : 1
    inner = shape.dropFirst(axis + 1).product
    self.channels = channels ?? 0..<size
  }

  package var positions: Int { outer * inner }
  package var count: Int { positions * channels.count }
  /// Between neighbouring channels at the same position.
  package var stride: Int { inner }

  /// Where the first channel of every position is.
  @inline(__always)
  package func forEachPosition(_ body: (Int) -> Void) {
    for o in 0..<outer {
      let start = (o * size + channels.lowerBound) * inner
      for i in 0..<inner { body(start + i) }
    }
  }

  /// Every number, with its channel counted from the part's first.
  @inline(__always)
  package func forEachNumber(_ body: (_ index: Int, _ channel: Int) -> Void) {
    for o in 0..<outer {
      for (k, c) in channels.enumerated() {
        let start = (o * size + c) * inner
        for i in start..<start + inner { body(i, k) }
      }
    }
  }
}

extension OutputPlace {
  /// Every channel's number at all its positions, as `forEachNumber` goes.
  func numbers<Value>(byChannel values: [Value]) -> [Value] {
    var result: [Value] = []
    result.reserveCapacity(count)
    forEachNumber { _, k in result.append(values[k]) }
    return result
  }
}

/// What a network says of some examples: all numbers of one output, example by example.
package struct OutputSamples: Sendable {
  package let numbers: [Float]
  /// Of one example.
  package let size: Int

  package init(_ numbers: [Float], size: Int) {
    (self.numbers, self.size) = (numbers, size)
  }

  package var count: Int { size == 0 ? 0 : numbers.count / size }

  package func forEach(_ body: (UnsafePointer<Float>) -> Void) {
    numbers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for n in 0..<count { body(base + n * size) }
    }
  }

  /// By channel, over all examples and positions.
  func means(at place: OutputPlace) -> [Double] {
    var sums = [Double](repeating: 0, count: place.channels.count)
    forEach { y in place.forEachNumber { i, k in sums[k] += Double(y[i]) } }
    let count = Double(max(1, count * place.positions))
    return sums.map { $0 / count }
  }
}
