import Foundation
import NapData
import NapOutputs
import NapTensor
import Testing

/// What holds for every task.
@Suite struct TaskLaws {
  /// Four examples of an output with their targets.
  private struct Sample {
    let name: String
    let shape: [Int]
    let target: Field
    var isYesOrNo = false
    /// What is judged best, given a target: logits for a class, the number itself.
    let right: @Sendable (_ target: [Float], _ place: OutputPlace) -> [Float]

    func targets(_ seed: UInt64) -> [Float] {
      var random = Seed(seed).generator()
      guard let range = target.range else { return [] }
      return (0..<target.count).map { _ in
        let number = range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
        return target.isInteger ? number.rounded() : number
      }
    }

    func outputs(_ seed: UInt64) -> [Float] {
      var random = Seed(seed).derived("outputs").generator()
      return (0..<shape.product).map { _ in 4 * random.uniform() - 2 }
    }

    var fit: TaskFit? {
      let numbers = (0..<16).flatMap { targets(UInt64(100 + $0)) }
      let samples = OutputSamples(numbers, size: target.count)
      return allTasks.first { $0.name == name }?.fit(
        OutputForm(shape: shape, channelAxis: 0, isYesOrNo: isYesOrNo), target, measuring: samples)
    }
  }

  private static func logits(_ target: [Float], _ place: OutputPlace) -> [Float] {
    var y = [Float](repeating: 0, count: place.outer * place.size * place.inner)
    var position = 0
    place.forEachPosition { start in
      let label = Int(target[position])
      if label >= 0 { y[start + label * place.stride] = 20 }
      position += 1
    }
    return y
  }

  private static let samples = [
    Sample(
      name: "classes", shape: [4], target: Field(shape: [], isInteger: true, range: 0...3),
      right: logits),
    Sample(
      name: "classes", shape: [3, 4, 5],
      target: Field(shape: [4, 5], isInteger: true, range: -1...2), right: logits),
    Sample(
      name: "next-token", shape: [6, 7], target: Field(shape: [6], isInteger: true, range: -1...6),
      right: logits),
    Sample(
      name: "binary", shape: [], target: Field(shape: [1], isInteger: true, range: 0...1)
    ) { target, _ in target.map { 40 * $0 - 20 } },
    Sample(
      name: "binary", shape: [5], target: Field(shape: [5], isInteger: true, range: 0...1)
    ) { target, _ in target.map { 40 * $0 - 20 } },
    Sample(
      name: "binary", shape: [1, 3, 3], target: Field(shape: [3, 3], range: 0...1),
      isYesOrNo: true
    ) { target, _ in target.map { log(max($0, 1e-6) / max(1 - $0, 1e-6)) } },
    Sample(name: "regression", shape: [3], target: Field(shape: [3], range: -2...5)) { target, _ in
      target
    },
    Sample(
      name: "regression", shape: [2, 4],
      target: Field(shape: [2, 4], isInteger: true, range: 0...9)
    ) { target, _ in target },
  ]

  @Test func everyTaskHasASample() {
    #expect(Set(Self.samples.map(\.name)) == Set(allTasks.map { $0.name }))
    #expect(Set(allTasks.map { $0.name }).count == allTasks.count)
  }

  @Test(arguments: samples.indices)
  func gradientsAreAddedAndAgreeWithFiniteDifferences(_ index: Int) throws {
    let sample = Self.samples[index]
    let fit = try #require(sample.fit)
    let place = OutputPlace(sample.shape, axis: fit.axis)
    let (y, t) = (sample.outputs(1), sample.targets(2))
    func loss(_ y: [Float]) -> Double {
      fit.task.loss(of: y, towards: t, at: place, smoothing: 0.1, gradient: nil, factor: 0)
    }
    var gradient = [Float](repeating: 1, count: y.count)
    let value = fit.task.loss(
      of: y, towards: t, at: place, smoothing: 0.1, gradient: &gradient, factor: 3)
    #expect(value == loss(y) && value > 0)
    for i in y.indices {
      var (above, below) = (y, y)
      above[i] += 0.01
      below[i] -= 0.01
      let slope = 3 * (loss(above) - loss(below)) / 0.02
      #expect(abs(Double(gradient[i] - 1) - slope) < 2e-3, "\(i)")
    }
  }

  /// What is right is judged as such, and costs less than what is not.
  @Test(arguments: samples.indices)
  func rightIsBest(_ index: Int) throws {
    let sample = Self.samples[index]
    let fit = try #require(sample.fit)
    let place = OutputPlace(sample.shape, axis: fit.axis)
    var (best, poor) = (
      [Double](repeating: 0, count: fit.task.tallies(at: place)),
      [Double](repeating: 0, count: fit.task.tallies(at: place))
    )
    for seed in 0..<8 as Range<UInt64> {
      let t = sample.targets(seed)
      let (right, wrong) = (sample.right(t, place), sample.outputs(seed))
      fit.task.tally(of: right, towards: t, at: place, into: &best)
      fit.task.tally(of: wrong, towards: t, at: place, into: &poor)
      func loss(_ y: [Float]) -> Double {
        fit.task.loss(of: y, towards: t, at: place, smoothing: 0, gradient: nil, factor: 0)
      }
      #expect(loss(right) <= loss(wrong))
    }
    let (good, bad) = (
      fit.task.metrics(of: best, at: place), fit.task.metrics(of: poor, at: place)
    )
    #expect(abs(good[0].value - 1) < 1e-9 && good[0].isShare)
    #expect(bad[0].value < 0.9 && bad[0].value >= 0)
    // Of nothing, nothing is told, and nothing is infinite.
    let none = fit.task.metrics(
      of: [Double](repeating: 0, count: fit.task.tallies(at: place)), at: place)
    #expect(none.allSatisfy { $0.value.isFinite })
  }

  /// The first task that fits is the one that is meant.
  @Test(
    arguments: [
      ([10], Field(shape: [], isInteger: true, range: 0...9), "classes"),
      ([10], Field(shape: [], isInteger: true, range: 0...10), nil),
      ([1], Field(shape: [], isInteger: true, range: 0...1), "binary"),
      ([1], Field(shape: [1], isInteger: true, range: 0...99), "regression"),
      ([1], Field(shape: [], range: 0...1), "regression"),
      ([4], Field(shape: [4], isInteger: true, range: 0...1), "binary"),
      ([21, 8, 8], Field(shape: [8, 8], isInteger: true, range: 0...255), "classes"),
      ([1, 8, 8], Field(shape: [8, 8], isInteger: true, range: 0...1), "binary"),
      ([12, 50], Field(shape: [12], isInteger: true, range: -100...49), "classes"),
      ([3], Field(shape: [2], range: 0...1), nil),
    ] as [([Int], Field, String?)])
  func tasksAreFoundByShapes(_ shape: [Int], _ target: Field, _ name: String?) {
    let samples = OutputSamples([Float](repeating: 0, count: 16 * target.count), size: target.count)
    let found = allTasks.first {
      $0.fit(OutputForm(shape: shape), target, measuring: samples) != nil
    }
    #expect(found?.name == name)
  }

  @Test func unknownPositionsCountForNothing() throws {
    let sample = Self.samples[1]
    let fit = try #require(sample.fit)
    let place = OutputPlace(sample.shape, axis: fit.axis)
    let t = [Float](repeating: -1, count: 20)
    var gradient = [Float](repeating: 0, count: 60)
    let loss = fit.task.loss(
      of: sample.outputs(1), towards: t, at: place, smoothing: 0, gradient: &gradient, factor: 1)
    #expect(loss == 0 && gradient.allSatisfy { $0 == 0 })
    #expect(
      fit.task.problem(of: 255, at: place) == nil && fit.task.problem(of: 3, at: place) != nil)
    // What is no class is refused before work; where it is met all the same, it counts for nothing.
    for number in [-2, 3, 1e9, -.infinity, .nan] as [Float] {
      #expect(fit.task.problem(of: number, at: place) != nil)
      let wild = [Float](repeating: number, count: 20)
      var sums = [Double](repeating: 0, count: fit.task.tallies(at: place))
      fit.task.tally(of: sample.outputs(1), towards: wild, at: place, into: &sums)
      let loss = fit.task.loss(
        of: sample.outputs(1), towards: wild, at: place, smoothing: 0, gradient: &gradient,
        factor: 1)
      #expect(loss == 0 && sums.allSatisfy { $0 == 0 } && gradient.allSatisfy { $0 == 0 })
    }
  }
}
