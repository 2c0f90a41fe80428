import NapTensor

/// What one output of a network is: which of its numbers say what, and how much they count.
///
/// Found once, when a network is opened with its data; losses, curvature, the choice of images,
/// agreement and reports all ask this value, and nobody else looks at shapes to guess.
package struct OutputMeaning: Sendable {
  /// Some channels of the same kind.
  package struct Part: Sendable {
    package let place: OutputPlace
    package let kind: any OutputKind
    /// What its loss is multiplied by: 1 where it is the only part of the only output, in its own
    /// units; else so much that saying the same of every example costs ½. By temperature.
    fileprivate var weights: [Float: Double] = [:]
  }

  package let name: String
  /// Of one example, the batch left out.
  package let shape: [Int]
  /// The axis of `shape` along which meanings differ.
  package let axis: Int
  package private(set) var parts: [Part]
  /// How much it counts beside other outputs.
  package let share: Double
  /// Why it is taken for what it is.
  package let reason: String
  /// What is learned of it, and from which of the data's targets; `nil` where there is none for it.
  package var task: (task: any Task, target: (index: Int, size: Int))?

  /// - Parameter kinds: with the channels they have, which cover the axis.
  package init(
    name: String, shape: [Int], axis: Int, kinds: [(channels: Range<Int>, kind: any OutputKind)],
    share: Double = 1, reason: String
  ) {
    self.name = name
    self.shape = shape
    self.axis = axis
    self.share = share
    self.reason = reason
    parts = kinds.map {
      Part(place: OutputPlace(shape, axis: axis, channels: $0.channels), kind: $0.kind)
    }
  }

  package var size: Int { shape.product }

  /// Measures what saying the same of every example costs, part by part.
  mutating func balance(by samples: OutputSamples, temperatures: [Float]) {
    for index in parts.indices {
      let (kind, place) = (parts[index].kind, parts[index].place)
      for temperature in temperatures {
        var numbers = kind.constant(of: samples, at: place, temperature: temperature).makeIterator()
        var constant = [Float](repeating: 0, count: size)
        place.forEachNumber { i, _ in constant[i] = numbers.next() ?? 0 }
        var sum = 0.0
        samples.forEach {
          sum += kind.loss(
            of: constant, towards: $0, at: place, temperature: temperature, gradient: nil,
            factor: 1)
        }
        let ignorance = sum / Double(max(1, samples.count))
        parts[index].weights[temperature] =
          0.5 / max(ignorance.isFinite ? ignorance : 0.5, Self.leastIgnorance)
      }
    }
  }

  /// What all examples say alike tells nothing, and is no reason to divide by nothing.
  private static let leastIgnorance = 1e-4

  /// `logits over 10 channels`, or the parts by channel.
  package var summary: String {
    func along(_ part: Part) -> String {
      let positions = part.place.positions
      return positions == 1 ? "" : " at \(positions) positions"
    }
    guard parts.count > 1 else {
      let part = parts[0]
      return "\(part.kind.name) over \(part.place.channels.count) channels\(along(part))"
    }
    return parts.map { part in
      let (first, last) = (part.place.channels.lowerBound, part.place.channels.upperBound - 1)
      return "channels \(first)-\(last) \(part.kind.name)"
    }.joined(separator: ", ") + along(parts[0])
  }
}

extension OutputMeaning.Part {
  func weight(_ temperature: Float) -> Double {
    weights[temperature] ?? weights.min { abs($0.key - temperature) < abs($1.key - temperature) }?
      .value ?? 1
  }
}
