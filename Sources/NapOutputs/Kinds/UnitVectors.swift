package import NapTensor

/// Vectors of length 1, such as embeddings: the angle between them is what counts.
///
/// Their squared distance is `2 - 2 cos`; it is taken in units of their spread over the data.
package struct UnitVectors: OutputKind {
  package static let name = "unit-vectors"
  package static let summary = "vectors of length 1 along the axis, such as embeddings"

  private let numbers: Numbers

  package init(measuring samples: OutputSamples, at place: OutputPlace) {
    let scales = Numbers.scales(of: samples, at: place)
    let square = scales.reduce(0) { $0 + $1 * $1 } / Float(max(1, scales.count))
    numbers = Numbers(scales: scales.map { _ in square.squareRoot() })
  }

  package func loss(
    of y: UnsafePointer<Float>, towards t: UnsafePointer<Float>, at place: OutputPlace,
    temperature: Float, gradient: UnsafeMutablePointer<Float>?, factor: Float
  ) -> Double {
    numbers.loss(
      of: y, towards: t, at: place, temperature: temperature, gradient: gradient, factor: factor)
  }

  package func writeCotangent(
    of y: UnsafePointer<Float>, into g: UnsafeMutablePointer<Float>, at place: OutputPlace,
    temperature: Float, factor: Float, signs: inout SplitMix64
  ) {
    numbers.writeCotangent(
      of: y, into: g, at: place, temperature: temperature, factor: factor, signs: &signs)
  }

  package func doubt(of y: UnsafePointer<Float>, at place: OutputPlace, temperature: Float)
    -> Double
  { 1 }

  package func constant(of samples: OutputSamples, at place: OutputPlace, temperature: Float)
    -> [Float]
  {
    numbers.constant(of: samples, at: place, temperature: temperature)
  }

  package var measure: AgreementMeasure { .angle }
}
