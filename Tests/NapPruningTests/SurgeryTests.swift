import Foundation
import NapCurvature
import NapGraph
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Physical removal changes nothing: the cut network computes what the masked one computes.
@Suite struct SurgeryTests {
  static let cases = SmallNetwork.all.flatMap { name, _ in allCriteria.map { "\(name), \($0.name)" }
  }

  @Test(arguments: cases)
  func cutNetworksComputeWhatMaskedOnesDo(_ name: String) throws {
    let parts = name.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    var network = try #require(SmallNetwork.all.first { $0.name == parts[0] }).network
    let criterion = try #require(allCriteria.first { $0.name == parts[1] })
    let x = network.tensor([3, 2, 4, 4])
    var factors: [Int: KroneckerFactors] = [:]
    if criterion.needsCurvature {
      let estimator = try CurvatureEstimator(network.graph, batch: 3, seed: Seed(1))
      estimator.add(x.floats)
      factors = estimator.takeFactors()
    }
    let model = try PruningModel(network.graph, factors: factors)
    var selection = UnitSelection(model, criterion: criterion.init(), cost: .macs)
    let removed = (0..<4).compactMap { _ in selection.removeNext() }
    #expect(!removed.isEmpty)
    let (masked, cut) = try model.results()
    try cut.verify()
    let (expected, found) = (masked.evaluate([x])[0], cut.evaluate([x])[0])
    #expect(relativeDifference(found.floats, expected.floats) < 1e-5)
    let cost = try CostModel(cut)
    #expect(cost.macs == model.cost.macs)
    #expect(cost.parameters == model.cost.parameters)
  }

  @Test func everyAxisKeepsAnIndex() throws {
    for (name, network) in SmallNetwork.all {
      let model = try PruningModel(network.graph)
      var selection = UnitSelection(model, criterion: Magnitude(), cost: .parameters)
      while selection.removeNext() != nil {}
      let cut = try model.results().cut
      #expect(cut.constants.values.allSatisfy { !$0.shape.contains(0) }, "\(name)")
      #expect(
        model.cost.macs == UnitSelection.smallest(try PruningModel(network.graph), .macs), "\(name)"
      )
    }
  }

  @Test func targetsAreMet() throws {
    let network = SmallNetwork.depthwise
    let model = try PruningModel(network.graph)
    let target = model.cost.macs / 2
    var selection = UnitSelection(model, criterion: Magnitude(), cost: .macs)
    let isMet = selection.remove(downTo: target)
    #expect(isMet)
    #expect(try CostModel(try model.results().cut).macs <= target)
    var rest = UnitSelection(model, criterion: Magnitude(), cost: .macs)
    let isImpossible = !rest.remove(downTo: 0)
    #expect(isImpossible)
  }
}
