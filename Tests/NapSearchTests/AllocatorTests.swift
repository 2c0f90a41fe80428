import Foundation
import NapGraph
import NapKernels
import NapOperators
import NapPruning
import NapTensor
import NapTestSupport
import Testing

@testable import NapSearch

/// Random features, and losses that are larger for smaller networks.
private final class MadeUpEvidence: AllocationEvidence {
  let space: WidthSpace
  var similarity: Matrix?
  var front: [ScoredWidths] = []
  var scored: [[Int]] = []
  /// Whether losses are numbers.
  var isTelling = true
  init(_ space: WidthSpace) { self.space = space }

  func grams() -> [Matrix] {
    var generator = Seed(1).generator()
    let common = (0..<60).map { _ in Double(generator.uniform()) }
    return space.full.indices.map { set in
      var features = Matrix(rows: 12, columns: 5)
      // Later sets resemble each other more.
      for i in features.elements.indices {
        features.elements[i] = Double(generator.uniform()) + Double(set) * common[i]
      }
      return features * features.transposed
    }
  }

  /// Halves of every set, and one that is alone.
  func clusterSizes() -> [[Int]] {
    space.full.map { $0 > 2 ? [$0 / 2, $0 - 1 - $0 / 2, 1] : [$0] }
  }

  func rankedWidths(downTo budget: Int) -> [Int] {
    space.scaled(space.full.map { _ in 1 }, to: budget) ?? space.full
  }

  func prepare(_ weights: WeightSource) {}

  func score(_ widths: [Int], weights: WeightSource) -> CandidateScore {
    scored.append(widths)
    let loss = zip(widths, space.full).enumerated().reduce(0) {
      $0 + Double($1.offset + 1) * Double($1.element.1) / Double($1.element.0)
    }
    return CandidateScore(loss: isTelling ? loss : .infinity, cost: space.cost(of: widths))
  }

  func loop<State: Codable>(
    _ name: String, from start: State, _ turn: (inout State) throws -> Bool
  ) rethrows -> State {
    var state = start
    while try turn(&state) {}
    return state
  }

  func report(_ message: String?, step: Int, of steps: Int) {}
  func keep(similarity: Matrix) { self.similarity = similarity }
  func keep(front: [ScoredWidths]) { self.front = front }
}

struct AllocatorTests {
  private static var ways: [(any Allocator.Type, String)] {
    // Weights of candidates make no difference here: they are made up.
    allAllocators.flatMap { type in
      type.variants.isEmpty || type == MetaPruning.self
        ? [(type, "")] : type.variants.map { (type, $0.name) }
    }
  }

  /// The budget is met after rounding, the same seed gives the same widths, and what cannot be is refused.
  @Test(arguments: SmallNetwork.all.map(\.name)) func budgetsHold(_ name: String) throws {
    let graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    for (type, variant) in Self.ways {
      var settings = AllocatorSettings()
      settings.candidates = 55
      let allocator = type.init(variant: variant, settings)
      for rounding in [Rounding.single, .multiple(2)] {
        let space = try WidthSpace(graph, cost: .macs, rounding: rounding)
        let (whole, least) = (space.cost(of: space.full), space.cost(of: space.least))
        for share in [0.9, 0.5] where Double(least) < share * Double(whole) {
          let budget = Int(share * Double(whole))
          func widths() throws -> [Int] {
            try allocator.widths(
              for: AllocationProblem(
                space: space, budget: budget, seed: Seed(1), evidence: MadeUpEvidence(space)))
          }
          let first = try widths()
          #expect(space.cost(of: first) <= budget, "\(type.name):\(variant)")
          #expect(try widths() == first)
        }
        guard least > 1 else { continue }
        #expect(throws: AllocationError.self) {
          try allocator.widths(
            for: AllocationProblem(
              space: space, budget: least - 1, seed: Seed(1), evidence: MadeUpEvidence(space)))
        }
      }
    }
  }

  /// Where no loss tells them apart, no set is taken for more redundant than another.
  @Test func withoutLossesAllSetsCountAlike() throws {
    // Of two sets, each resembles the other as much.
    var network = SmallNetwork()
    var value = network.input([3, 8, 8])
    for (index, inputs) in [3, 24, 24, 24].enumerated() {
      let sum = network.conv(value, [24, inputs, 3, 3], "c\(index)")
      value = network.apply(Relu(), sum, name: "relu\(index)")
    }
    let features = network.apply(
      Flatten(), network.apply(GlobalAveragePool(), value, name: "pool"), name: "flatten")
    network.output(network.linear(features, 24, 4, "fc"), [4])
    let space = try WidthSpace(network.graph, cost: .macs, rounding: .single)
    let evidence = MadeUpEvidence(space)
    evidence.isTelling = false
    func widths(_ beta: Double?) throws -> [Int] {
      var settings = AllocatorSettings()
      settings.beta = beta
      return try ITPruner(variant: "inverse", settings).widths(
        for: AllocationProblem(
          space: space, budget: space.cost(of: space.full) * 6 / 10, seed: Seed(1),
          evidence: evidence))
    }
    #expect(try widths(nil) == widths(0))
    #expect(try widths(ITPruner.betas[0]) != widths(0))
  }

  /// What other allocators keep is among the first candidates of an evolution.
  @Test func evolutionBeginsWithOtherWidths() throws {
    let space = try WidthSpace(
      try #require(SmallNetwork.all.last).network.graph, cost: .macs, rounding: .single)
    let evidence = MadeUpEvidence(space)
    func widths(_ type: any Allocator.Type) throws -> [Int] {
      var settings = AllocatorSettings()
      settings.candidates = 20
      return try type.init(variant: "", settings).widths(
        for: AllocationProblem(
          space: space, budget: space.cost(of: space.full) * 6 / 10, seed: Seed(1),
          evidence: evidence))
    }
    let types: [any Allocator.Type] = [Uniform.self, NAPWidths.self, ITPruner.self]
    let others = try types.map(widths)
    evidence.scored = []
    _ = try widths(MetaPruning.self)
    for other in others { #expect(evidence.scored.prefix(12).contains(other)) }
  }
}

struct NormalizedHSICTests {
  private func features(_ seed: UInt64, _ columns: Int = 6) -> Matrix {
    var generator = Seed(seed).generator()
    var result = Matrix(rows: 20, columns: columns)
    for i in result.elements.indices { result.elements[i] = Double(generator.uniform()) }
    return result
  }

  private func similarity(_ a: Matrix, _ b: Matrix, _ kind: NormalizedHSIC) -> Double {
    kind.matrix(of: [a * a.transposed, b * b.transposed])[0, 1]
  }

  /// Equal features give 1; so do rotated and scaled ones.
  @Test(arguments: [NormalizedHSIC.biased, .unbiased])
  func equalFeaturesGiveOne(_ kind: NormalizedHSIC) {
    let x = features(1)
    let (c, s) = (cos(0.7), sin(0.7))
    var rotation = Matrix.identity(6)
    (rotation[1, 1], rotation[1, 4], rotation[4, 1], rotation[4, 4]) = (c, -s, s, c)
    var rotated = x * rotation
    for i in rotated.elements.indices { rotated.elements[i] *= -3.5 }
    #expect(abs(similarity(x, x, kind) - 1) < 1e-12)
    #expect(abs(similarity(x, rotated, kind) - 1) < 1e-12)
    // A constant in every feature changes nothing.
    var moved = x
    for i in moved.elements.indices { moved.elements[i] += 2 }
    #expect(abs(similarity(x, moved, kind) - 1) < 1e-10)
  }

  /// Of independent features, one estimator grows with their number and the other stays about 0.
  @Test func theUnbiasedEstimatorIsUnbiased() {
    func mean(_ kind: NormalizedHSIC) -> Double {
      var sum = 0.0
      for seed in UInt64(10)..<50 {
        sum += similarity(features(2 * seed, 60), features(2 * seed + 1, 60), kind)
      }
      return sum / 40
    }
    #expect(abs(mean(.unbiased)) < 0.02)
    #expect(mean(.biased) > 0.5)
  }

  /// `tr(K H L H)` written out, of centered features.
  @Test func theBiasedEstimatorIsTheCrossCovariance() {
    let (x, y) = (features(3), features(4, 3))
    func centered(_ m: Matrix) -> Matrix {
      var result = m
      for j in 0..<m.columns {
        let mean = (0..<m.rows).reduce(0) { $0 + m[$1, j] } / Double(m.rows)
        for i in 0..<m.rows { result[i, j] -= mean }
      }
      return result
    }
    let (a, b) = (centered(x), centered(y))
    func squared(_ m: Matrix) -> Double { m.elements.reduce(0) { $0 + $1 * $1 } }
    let expected =
      squared(a.transposed * b)
      / (squared(a.transposed * a) * squared(b.transposed * b)).squareRoot()
    #expect(abs(similarity(x, y, .biased) - expected) < 1e-12)
  }
}
