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
    let model = try PruningModel(network.graph, knowing: criterion.evidence, from: x)
    var selection = UnitSelection(model, criterion: criterion.init(), cost: .macs)
    for _ in 0..<4 where selection.removeNext() {}
    #expect(!model.removedUnits.isEmpty)
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
      while selection.removeNext() {}
      let cut = try model.results().cut
      #expect(cut.constants.values.allSatisfy { !$0.shape.contains(0) }, "\(name)")
      #expect(
        model.cost.macs
          == UnitSelection.smallest(try PruningModel(network.graph), .macs, rounding: .single),
        "\(name)"
      )
    }
  }

  @Test func targetsAreMet() throws {
    let network = SmallNetwork.depthwise
    let model = try PruningModel(network.graph)
    let target = model.cost.macs / 2
    var selection = UnitSelection(model, criterion: Magnitude(), cost: .macs)
    let isMet = try selection.remove(model, .macs, downTo: target)
    #expect(isMet)
    #expect(try CostModel(try model.results().cut).macs <= target)
    var rest = UnitSelection(model, criterion: Magnitude(), cost: .macs)
    let isImpossible = try !rest.remove(model, .macs, downTo: 0)
    #expect(isImpossible)
  }

  /// Scores that never change and savings that shrink: the cheapest unit is found exactly.
  @Test(arguments: 1..<20) func unitsCostLeastForWhatTheySaveOfTheTarget(_ part: Int) throws {
    for (name, network) in SmallNetwork.all {
      let model = try PruningModel(network.graph)
      let criterion = Random()
      var selection = UnitSelection(model, criterion: criterion, cost: .macs)
      let target = model.cost.macs * part / 20
      while model.cost.macs > target {
        let needed = Double(model.cost.macs - target)
        let gone = Set(model.removedUnits)
        let keys = model.units.units.enumerated().map { index, unit in
          let saving = min(needed, model.cost.saving(of: unit, .macs))
          return saving > 0 && !gone.contains(index) && model.mayRemove(unit)
            ? criterion.score(of: unit, in: model) / saving : .infinity
        }
        guard selection.removeNext(saving: needed) else { break }
        let chosen = try #require(model.removedUnits.last)
        #expect(keys[chosen] == keys.min(), "\(name)")
      }
    }
  }

  @Test(arguments: [2, 3, 4, 8]) func roundedSelectionKeepsMultiples(_ multiple: Int) throws {
    for (name, network) in SmallNetwork.all {
      let model = try PruningModel(network.graph)
      let sizes = model.units.sets.map(\.count)
      var selection = RoundedSelection(
        model, criterion: Magnitude(), cost: .macs, rounding: .multiple(multiple))
      while selection.removeNext() {
        let gone = Set(model.removedUnits)
        for (set, size) in zip(model.units.sets, sizes) {
          let left = set.filter { !gone.contains($0) }.count
          let channels = left * model.units.units[set[0]].channels
          #expect(left == size || channels % multiple == 0, "\(name): \(left) of \(size)")
          #expect(left > 0, "\(name)")
        }
      }
      let (masked, cut) = try model.results()
      try cut.verify()
      #expect(try CostModel(cut).macs == model.cost.macs && masked.nodes.count == cut.nodes.count)
      let fresh = try PruningModel(network.graph)
      #expect(
        model.cost.macs == UnitSelection.smallest(fresh, .macs, rounding: .multiple(multiple)),
        "\(name)")
    }
  }

  @Test(arguments: [
    (7, 1), (8, 2), (15, 2), (16, 4), (31, 4), (32, 8), (63, 8), (64, 16), (2048, 16)
  ])
  func automaticRoundingGoesByWhatIsLeft(_ count: Int, _ multiple: Int) {
    #expect(Rounding.automatic.multiple(of: count) == multiple)
    #expect(Rounding.single.multiple(of: count) == 1)
    #expect(Rounding.multiple(24).multiple(of: count) == 24)
  }
}
