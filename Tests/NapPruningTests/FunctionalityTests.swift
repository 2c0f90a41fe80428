import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@testable import NapPruning

@Suite struct FunctionalityTests {
  /// `conv a (6) → relu → conv b (4) → relu → classifier`: the second filter of `a` is the first, the
  /// last never fires.
  private static var network: SmallNetwork {
    var network = SmallNetwork(seed: 21)
    let x = network.input([3, 8, 8])
    let a = network.apply(Relu(), network.conv(x, [6, 3, 3, 3], bias: true, "a"), name: "a.relu")
    let b = network.apply(Relu(), network.conv(a, [4, 6, 3, 3], bias: true, "b"), name: "b.relu")
    let pooled = network.apply(
      Flatten(), network.apply(GlobalAveragePool(), b, name: "pool"), name: "flatten")
    network.output(network.linear(pooled, 4, 3, "classifier"), [3])
    let (weight, bias) = (network.constant("a.w"), network.constant("a.b"))
    guard var filters = network.graph.constants[weight], var biases = network.graph.constants[bias]
    else { return network }
    for i in 0..<27 { filters.floats[27 + i] = filters.floats[i] }
    biases.floats[1] = biases.floats[0]
    biases.floats[5] = -1000
    network.graph.constants[weight] = filters
    network.graph.constants[bias] = biases
    return network
  }

  @Test(arguments: ["functionality", "functionality-pixels", "functionality-correlation"])
  func theDeadGoFirstAndThenOneOfTwins(_ name: String) throws {
    let criterion = try #require(allCriteria.first { $0.name == name })
    var network = Self.network
    let x = network.tensor([64, 3, 8, 8])
    let model = try PruningModel(
      network.graph, knowing: criterion.evidence, from: x, damping: 1e-8)
    let layer = try #require(model.layers[0])
    func filter(_ unit: Int) -> Int? {
      model.computings(of: model.units.units[unit]).first { $0.layer === layer }
        .map { layer.filter($0.rows[0]) }
    }
    var selection = UnitSelection(model, criterion: criterion.init(), cost: .macs)
    selection.removeNext()
    selection.removeNext()
    let gone = model.removedUnits.map(filter)
    #expect(gone[0] == 5)
    let twin = try #require(gone[1])
    #expect([0, 1].contains(twin))
    // The other one takes over.
    #expect(model.successor(of: model.removedUnits[1]).map { filter($0.unit) } == 1 - twin)
    #expect(model.successor(of: model.removedUnits[0]) == nil)
    let fresh = network.tensor([4, 3, 8, 8])
    let before = network.graph.evaluate([fresh])[0].floats
    let after = try model.results().cut.evaluate([fresh])[0].floats
    #expect(relativeDifference(after, before) < 1e-4)
  }

  @Test func clustersAreThoseThatAreApart() {
    let places = [0, 0.1, 5, 0.05, 5.1, 9].map { $0 / 10 }
    var distances = Matrix(rows: 6, columns: 6)
    for i in 0..<6 { for k in 0..<6 { distances[i, k] = abs(places[i] - places[k]) } }
    #expect(Clusters.averageLinkage(distances) == [[0, 1, 3], [2, 4], [5]])
    // By hand: of the pair 0.5 and 0.51, the next cluster is at about 0.4 (the one at 0.9).
    let silhouette = Clusters.silhouette(
      [[0, 1], [2]], distances.selecting(rows: [2, 4, 5], columns: [2, 4, 5]))
    #expect(abs(silhouette - ((0.4 - 0.01) / 0.4 + (0.39 - 0.01) / 0.39) / 3) < 1e-9)
  }

  @Test func whatHasNothingInCommonIsAlone() {
    for count in 0..<5 {
      var distances = Matrix(rows: count, columns: count)
      for i in 0..<count { for k in 0..<count where i != k { distances[i, k] = 1 } }
      #expect(Clusters.averageLinkage(distances) == (0..<count).map { [$0] })
    }
  }
}
