import NapGraph
import NapOperators
import NapPruning
import NapSearch
import NapTensor
import NapTestSupport
import Testing

/// Laws of widths, over all small networks that have sets.
struct WidthSpaceTests {
  private func random(_ space: WidthSpace, _ generator: inout SplitMix64) -> [Int] {
    space.full.indices.map { set in
      space.least[set]
        + Int(generator.uniform() * Float(space.full[set] - space.least[set] + 1))
    }.enumerated().map { min($1, space.full[$0]) }
  }

  /// What widths cost is what the network costs that is cut to them, whose axes are as long as was said.
  @Test(arguments: SmallNetwork.all.map(\.name)) func costsAreThoseOfTheCut(_ name: String) throws {
    let graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    var generator = Seed(3).generator()
    for cost in [Cost.macs, .parameters] {
      let space = try WidthSpace(graph, cost: cost, rounding: .single)
      #expect(space.cost(of: space.full) == (try CostModel(graph).value(cost)))
      for _ in 0..<3 {
        let widths = random(space, &generator)
        let model = try PruningModel(graph)
        var selection = UnitSelection(
          model, criterion: AbsoluteMagnitude(), cost: cost, keeping: space.goals(of: widths))
        while selection.removeNext() {}
        let cut = try model.results().cut
        let reached = try WidthSpace(cut, cost: cost, rounding: .single)
        let (goals, left) = (space.goals(of: widths), reached.goals(of: reached.full))
        #expect(left.indices.allSatisfy { goals.indices[$0.key] ?? $0.value == $0.value })
        #expect(left.units.allSatisfy { goals.units[$0.key] ?? $0.value == $0.value })
        #expect(try CostModel(cut).value(cost) == space.cost(of: widths))
      }
    }
  }

  /// Multiply-accumulates and parameters of layers are a polynomial of second degree.
  @Test(arguments: SmallNetwork.all.map(\.name)) func costsAreQuadratic(_ name: String) throws {
    let graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    var generator = Seed(4).generator()
    for cost in [Cost.macs, .parameters] {
      let space = try WidthSpace(graph, cost: cost, rounding: .single)
      let quadratic = QuadraticCost(space)
      let whole = Double(space.cost(of: space.full))
      for _ in 0..<5 {
        let widths = random(space, &generator)
        let shares = zip(widths, space.full).map { Double($0) / Double($1) }
        let value = quadratic.value(at: shares)
        #expect(abs(value - Double(space.cost(of: widths)) / whole) < 1e-9)
        let step = 1e-6
        for (i, slope) in quadratic.gradient(at: shares).enumerated() {
          var moved = shares
          moved[i] += step
          #expect(abs((quadratic.value(at: moved) - value) / step - slope) < 1e-5)
        }
      }
    }
  }

  /// Fitted widths meet the budget, are allowed, and are refused where the least cost more.
  @Test(arguments: SmallNetwork.all.map(\.name), [Rounding.single, .multiple(2), .automatic])
  func fittedWidthsMeetTheBudget(_ name: String, _ rounding: Rounding) throws {
    let graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    let space = try WidthSpace(graph, cost: .macs, rounding: rounding)
    let (whole, least) = (space.cost(of: space.full), space.cost(of: space.least))
    var generator = Seed(5).generator()
    for _ in 0..<20 {
      let shares = space.full.map { _ in Double(generator.uniform()) }
      let budget = Int(Float(whole) * generator.uniform())
      for fitted in [
        space.fitted(space.widths(ofShares: shares), to: budget), space.scaled(shares, to: budget),
      ] {
        #expect((fitted == nil) == (least > budget))
        guard let fitted else { continue }
        #expect(space.cost(of: fitted) <= budget)
        for set in fitted.indices {
          #expect(
            fitted[set] == space.full[set] || fitted[set] == space.least[set]
              || fitted[set] % space.steps[set] == 0)
          #expect((space.least[set]...space.full[set]).contains(fitted[set]))
        }
      }
    }
  }
}
