package import NapTensor

/// Numbers that mean different things by channel: rows of boxes, features, channels of a map.
///
/// Every channel counts in units of its own spread over the data: the mean distance from its mean at the same
/// position, which a few far values do not blow up as they do the variance. What differs by position alone,
/// such as where a detector's anchors lie, is said of every example alike and tells nothing. Errors of many
/// spreads count linearly.
package struct Numbers: OutputKind {
  package static let name = "numbers"
  package static let summary = "numbers, each channel in units of its own spread over the data"

  /// By channel of the part.
  package var scales: [Float]

  package init(scales: [Float]) { self.scales = scales }

  package init(measuring samples: OutputSamples, at place: OutputPlace) {
    scales = Self.scales(of: samples, at: place)
  }

  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    if let gradient { place.forEachNumber { i, _ in gradient[i] = 0 } }
    return addLoss(of: y, towards: t, at: place, gradient: gradient, factor: factor)
  }

  /// The same; the derivatives are added to what is there.
  func addLoss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    let part = 1 / Float(max(1, place.count))
    var sum = 0.0
    place.forEachNumber { i, k in
      let error = (y[i] - t[i]) / scales[k]
      let size = abs(error)
      let isFar = size > Self.farError
      sum += Double(isFar ? Self.farError * (size - 0.5 * Self.farError) : 0.5 * error * error)
      if let gradient {
        let slope = isFar ? (error < 0 ? -Self.farError : Self.farError) : error
        gradient[i] += factor * part * slope / scales[k]
      }
    }
    return sum * Double(part)
  }

  /// In units of the scale.
  private static let farError: Float = 8

  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    let part = factor / Float(max(1, place.count)).squareRoot()
    place.forEachNumber { i, k in g[i] = signs.sign() * part / scales[k] }
  }

  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  { 1 }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    Self.means(of: samples, at: place).map { Float($0) }
  }

  package var measure: AgreementMeasure { .variance(ofShares: false) }
}

// MARK: Scales
extension Numbers {
  /// Of fewer examples, what one position says alike is not told from what a channel does.
  static let fewExamples = 8

  /// Number by number over the examples; of few, by channel.
  static func means(of samples: OutputSamples, at place: OutputPlace) -> [Double] {
    guard samples.count >= fewExamples else {
      return place.numbers(byChannel: samples.means(at: place))
    }
    var sums = [Double](repeating: 0, count: place.count)
    samples.forEach { y in
      var j = 0
      place.forEachNumber { i, _ in
        sums[j] += Double(y[i])
        j += 1
      }
    }
    return sums.map { $0 / Double(samples.count) }
  }

  /// The standard deviation that a normal distribution with this mean distance from the mean has.
  ///
  /// A channel that hardly moves, beside its own size or beside the others, has no scale of its own:
  /// what would be measured there is rounding.
  static func scales(of samples: OutputSamples, at place: OutputPlace) -> [Float] {
    let means = means(of: samples, at: place)
    var distances = place.channels.map { _ in 0.0 }
    var squares = distances
    samples.forEach { y in
      var j = 0
      place.forEachNumber { i, k in
        distances[k] += abs(Double(y[i]) - means[j])
        squares[k] += Double(y[i]) * Double(y[i])
        j += 1
      }
    }
    let count = Double(max(1, samples.count * place.positions))
    let spreads = distances.map { $0 / count * (Double.pi / 2).squareRoot() }
    let largest = spreads.max() ?? 0
    return zip(spreads, squares).map { spread, square in
      let floor = max(1e-3 * (square / count).squareRoot(), 1e-4 * largest)
      let scale = max(spread, floor)
      return scale > 0 && scale.isFinite ? Float(max(scale, 1e-15)) : 1
    }
  }
}

extension SplitMix64 {
  /// 1 or -1.
  mutating func sign() -> Float { next() & 1 == 0 ? 1 : -1 }
}
