import Foundation
import NapOutputs
import NapTensor
import Testing

/// What holds for every kind of output.
@Suite struct OutputKindLaws {
  /// Three examples of four channels at six positions, such as the kind may say.
  private struct Sample {
    let kind: any OutputKind
    let place: OutputPlace
    let samples: OutputSamples
    /// One example, and what another network says of it.
    let y: [Float]
    let t: [Float]

    init(_ type: any OutputKind.Type, seed: UInt64 = 3) {
      let place = OutputPlace([2, 4, 3], axis: 1)
      var random = Seed(seed).generator()
      func example() -> [Float] {
        var z = (0..<24).map { _ in 4 * random.uniform() - 2 }
        place.forEachPosition { start in
          let line = (0..<4).map { start + $0 * place.stride }
          switch type.name {
          case "probabilities":
            let sum = line.reduce(0) { $0 + exp(z[$1]) }
            for i in line { z[i] = exp(z[i]) / sum }
          case "two-class-probabilities": for i in line { z[i] = 1 / (1 + exp(-z[i])) }
          case "unit-vectors":
            let length = line.reduce(0) { $0 + z[$1] * z[$1] }.squareRoot()
            for i in line { z[i] /= length }
          default: break
          }
        }
        return z
      }
      let examples = (0..<8).map { _ in example() }
      self.place = place
      let said = OutputSamples(examples.flatMap { $0 }, size: 24)
      samples = said
      kind = type.init(measuring: said, at: place)
      y = examples[0]
      t = examples[1]
    }

    func loss(_ y: [Float], _ t: [Float], temperature: Float = 1) -> Double {
      gradient(y, t, temperature: temperature).loss
    }

    func gradient(_ y: [Float], _ t: [Float], temperature: Float = 1, factor: Float = 1) -> (
      loss: Double, gradient: [Float]
    ) {
      var gradient = [Float](repeating: 0, count: 24)
      let loss = kind.loss(
        of: y, towards: t, at: place, temperature: temperature, gradient: &gradient,
        factor: factor)
      return (loss, gradient)
    }

    func constant(_ temperature: Float) -> [Float] {
      kind.constant(of: samples, at: place, temperature: temperature)
    }

    func cotangent(_ signs: inout SplitMix64) -> [Float] {
      var g = [Float](repeating: 0, count: 24)
      kind.writeCotangent(
        of: y, into: &g, at: place, temperature: 1, factor: 1, signs: &signs)
      return g
    }
  }

  private static let names = allOutputKinds.map { $0.name }
  private func type(_ name: String) throws -> any OutputKind.Type {
    try #require(allOutputKinds.first { $0.name == name })
  }

  @Test(arguments: names, [Float(1), 4])
  func gradientsAreThoseOfTheLoss(_ name: String, _ temperature: Float) throws {
    let sample = Sample(try type(name))
    let (loss, gradient) = sample.gradient(
      sample.y, sample.t, temperature: temperature, factor: 2)
    #expect(loss > 0)
    for i in 0..<24 {
      var (up, down) = (sample.y, sample.y)
      let step = 1e-2 * max(0.05, min(abs(sample.y[i]), abs(1 - abs(sample.y[i]))))
      up[i] += step
      down[i] -= step
      var slope =
        (sample.loss(up, sample.t, temperature: temperature)
          - sample.loss(down, sample.t, temperature: temperature)) / Double(up[i] - down[i])
      // Probabilities sum to 1; beside them the gradient leaves out a constant.
      if name == "probabilities" { slope = -Double(sample.t[i] / sample.y[i]) / 6 }
      #expect(abs(Double(gradient[i]) - 2 * slope) < 2e-2 * max(0.05, abs(2 * slope)), "\(i)")
    }
  }

  /// The second moment of cotangents is the curvature of the loss where both networks say the same.
  @Test(arguments: names)
  func cotangentsHaveTheCurvatureOfTheLoss(_ name: String) throws {
    let sample = Sample(try type(name))
    var signs = Seed(5).generator()
    var second = [Double](repeating: 0, count: 24 * 24)
    let draws = 40_000
    for _ in 0..<draws {
      let g = sample.cotangent(&signs)
      for i in 0..<24 { for j in 0..<24 { second[24 * i + j] += Double(g[i] * g[j]) } }
    }
    var largest = 0.0
    for i in 0..<24 { largest = max(largest, second[25 * i] / Double(draws)) }
    for i in 0..<24 {
      var (up, down) = (sample.y, sample.y)
      let step: Float = 5e-3 * max(0.02, min(abs(sample.y[i]), abs(1 - abs(sample.y[i]))))
      up[i] += step
      down[i] -= step
      let a = sample.gradient(up, sample.y).gradient
      let b = sample.gradient(down, sample.y).gradient
      for j in 0..<24 {
        let curvature = Double((a[j] - b[j]) / (up[i] - down[i]))
        #expect(
          abs(second[24 * i + j] / Double(draws) - curvature) < 0.04 * largest, "\(i) \(j)")
      }
    }
  }

  @Test(arguments: names)
  func whatSaysTheSameAgreesAndCostsNothing(_ name: String) throws {
    let sample = Sample(try type(name))
    #expect(sample.loss(sample.y, sample.y) < 1e-9)
    let outputs = Outputs([
      OutputMeaning(
        name: "y", shape: [2, 4, 3], axis: 1, kinds: [(0..<4, sample.kind)], reason: "a test")
    ])
    func agreement(_ y: [Float], _ t: [Float]) -> AgreementMeter {
      var meter = AgreementMeter(outputs)
      y.withUnsafeBufferPointer { y in
        t.withUnsafeBufferPointer { t in
          guard let y = y.baseAddress, let t = t.baseAddress else { return }
          meter.add([y], towards: [t], count: 8)
        }
      }
      return meter
    }
    let numbers = sample.samples.numbers
    #expect(abs(agreement(numbers, numbers).score - 1) < 1e-6)
    let shuffled = Array(numbers[24...] + numbers[..<24])
    #expect(agreement(shuffled, numbers).score < 0.8)
    let broken = numbers.map { _ in Float.nan }
    #expect(agreement(broken, numbers).score <= 0)
  }

  /// Saying the same of every example costs a half, whatever the kind, in company.
  @Test(arguments: names)
  func ignoranceCostsAHalf(_ name: String) throws {
    let sample = Sample(try type(name))
    let meanings = (0..<2).map {
      OutputMeaning(
        name: "\($0)", shape: [2, 4, 3], axis: 1, kinds: [(0..<4, sample.kind)], reason: "a test")
    }
    var outputs = Outputs(meanings)
    outputs.balance(by: [sample.samples, sample.samples], temperatures: [1, 4])
    for temperature in [Float(1), 4] {
      var numbers = sample.constant(temperature).makeIterator()
      var constant = [Float](repeating: 0, count: 24)
      sample.place.forEachNumber { i, _ in constant[i] = numbers.next() ?? .nan }
      let all = [Float](repeatElement(constant, count: 8).joined())
      let losses = all.withUnsafeBufferPointer { y in
        sample.samples.numbers.withUnsafeBufferPointer { t -> [Double] in
          guard let y = y.baseAddress, let t = t.baseAddress else { return [] }
          return outputs.losses(of: [y, y], towards: [t, t], count: 8, temperature: temperature)
        }
      }
      #expect(abs(losses.reduce(0, +) / 8 - 0.5) < 1e-4)
    }
  }
}

@Suite struct NumbersTests {
  /// Channels in pixels and in shares count alike; one that hardly moves does not decide alone.
  @Test func channelsCountInUnitsOfTheirOwnSpread() {
    let place = OutputPlace([3], axis: 0)
    var random = Seed(1).generator()
    let numbers = (0..<64).flatMap { _ -> [Float] in
      [640 * random.uniform(), random.uniform(), 7 + 1e-7 * random.uniform()]
    }
    let samples = OutputSamples(numbers, size: 3)
    let scales = Numbers(measuring: samples, at: place).scales
    #expect(abs(scales[0] / scales[1] / 640 - 1) < 0.2)
    // Relative to 7, not to the seventh digit.
    #expect(scales[2] > 1e-3)
    let zeros = Numbers(measuring: OutputSamples([0, 0, 0], size: 3), at: place).scales
    #expect(zeros == [1, 1, 1])
  }

  /// Where an anchor lies is known without a network: boxes count by what the examples differ in.
  @Test func positionsTellNothing() throws {
    let place = OutputPlace([2, 50], axis: 0)
    var random = Seed(3).generator()
    let numbers = (0..<32).flatMap { _ in
      (0..<100).map { Float(10 * $0) + 2 * random.uniform() - 1 }
    }
    let samples = OutputSamples(numbers, size: 100)
    let numbersKind = Numbers(measuring: samples, at: place)
    #expect(numbersKind.scales.allSatisfy { 0.5 < $0 && $0 < 0.8 })
    let outputs = Outputs([
      OutputMeaning(
        name: "boxes", shape: [2, 50], axis: 0, kinds: [(0..<2, numbersKind)], reason: "a test")
    ])
    var (grid, same) = (AgreementMeter(outputs), AgreementMeter(outputs))
    let constant = numbersKind.constant(of: samples, at: place, temperature: 1)
    samples.forEach {
      let example = $0
      constant.withUnsafeBufferPointer {
        grid.add([$0.baseAddress ?? example], towards: [example], count: 1)
      }
      same.add([example], towards: [example], count: 1)
    }
    #expect(grid.score < 0.05)
    #expect(same.score == 1)
  }

  /// One value of a thousand times the others does not make these worth nothing.
  @Test func farValuesDoNotDecideScales() {
    let place = OutputPlace([1], axis: 0)
    var random = Seed(2).generator()
    var numbers = (0..<1000).map { _ in 2 * random.uniform() - 1 }
    let plain = Numbers(measuring: OutputSamples(numbers, size: 1), at: place).scales[0]
    numbers[3] = 1000
    let far = Numbers(measuring: OutputSamples(numbers, size: 1), at: place).scales[0]
    #expect(far < 6 * plain)
  }

  /// Of shares without a winner, which of them is the largest tells little.
  @Test(arguments: [
    (Float(0.9), AgreementMeasure.choice), (Float(0.4), .variance(ofShares: false)),
  ] as [(Float, AgreementMeasure)])
  func sharesAreNoChoice(_ largest: Float, _ measure: AgreementMeasure) {
    let rest = (1 - largest) / 3
    let samples = OutputSamples([largest, rest, rest, rest, rest, largest, rest, rest], size: 4)
    let kind = Probabilities(measuring: samples, at: OutputPlace([4], axis: 0))
    #expect(kind.measure == measure)
  }
}
