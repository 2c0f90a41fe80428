import Foundation
import NapCurvature
import NapData
import NapEngine
import NapGraph
import NapKernels
import NapONNX
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Pruning is right on whatever networks there are.
///
/// `NAP_RANDOM_NETWORKS` says how many, `NAP_RANDOM_SEED` which.
@Suite struct RandomNetworkTests {
  @Test func prunedNetworksComputeWhatTheyAreMeantTo() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var untouched = 0
    for index in 0..<setting("NAP_RANDOM_NETWORKS", otherwise: 60) {
      let seed = Seed(UInt64(setting("NAP_RANDOM_SEED", otherwise: 1))).derived(index)
      var network = RandomNetwork(seed: seed)
      let what: Comment = "\(index): \(network.blocks.joined(separator: ", "))"
      let x = network.inputs(6)
      let model = try PruningModel(network.graph, knowing: BlockLoss.evidence, from: x)
      var selection = UnitSelection(model, criterion: BlockLoss(), cost: .macs)
      try selection.remove(model, .macs, downTo: model.cost.macs / 2)
      if model.removedUnits.isEmpty { untouched += 1 }
      let (masked, cut) = try model.results()
      try cut.verify()
      #expect(try CostModel(cut).macs == model.cost.macs, what)
      for (a, b) in zip(masked.evaluate([x]), cut.evaluate([x])) {
        #expect(relativeDifference(a.floats, b.floats) < 1e-5, what)
      }
      try expectNoWorseThanLeaving(model, x, what)
      guard SharedFiles.python != nil else { continue }
      let name = folder.appending(path: "\(index)").path
      try ONNXWriter().write(cut, to: "\(name).onnx")
      let tensors = try cut.outputs(of: x).enumerated().map { (name: "y\($0)", tensor: $1) }
      try NumPyFile.writeArchive([(name: "x", tensor: x)] + tensors, to: "\(name).npz")
    }
    #expect(untouched == 0)
    guard SharedFiles.python != nil else { return }
    let check = try SharedFiles.runCrossCheck("compare_all.py", [folder.path])
    #expect(check.status == 0, "\(check.output)")
  }

  /// Of the outputs that stay, as those that go are no matter of the weights beside them.
  private func expectNoWorseThanLeaving(_ model: PruningModel, _ x: Tensor, _ what: Comment) throws
  {
    let estimator = try CurvatureEstimator(model.graph, batch: x.shape[0], seed: Seed(1))
    estimator.add(x.floats)
    let factors = estimator.takeFactors()
    let original = try PruningModel(model.graph, factors: factors)
    var columns: [Int: [Int: Set<Int>]] = [:]
    var rows: [Int: [Int: Set<Int>]] = [:]
    for unit in model.removedUnits.map({ model.units.units[$0] }) {
      for (layer, group, gone) in model.readings(of: unit) {
        columns[layer.node, default: [:]][group, default: []].formUnion(gone)
      }
      for (layer, gone) in model.computings(of: unit) {
        for (group, row) in gone { rows[layer.node, default: [:]][group, default: []].insert(row) }
      }
    }
    for (node, layer) in model.layers {
      let before = try #require(original.layers[node]).weights
      for (group, factor) in try #require(factors[node]).groups.enumerated() {
        let gone = rows[node]?[group] ?? []
        let left = (0..<layer.shape.outputs).filter { !gone.contains($0) }
        let cut = columns[node]?[group] ?? []
        let old = before[group].selecting(rows: left)
        var (change, leaving) = (layer.weights[group].selecting(rows: left), old)
        for i in left.indices {
          for j in 0..<old.columns {
            change[i, j] -= old[i, j]
            leaving[i, j] = cut.contains(j) ? -old[i, j] : 0
          }
        }
        // A constant that is kept nowhere makes up for nothing.
        if layer.readers.contains(where: { $0.home == .none }) {
          for i in left.indices { #expect(change[i, layer.shape.inputs] == 0, what) }
        }
        let g = factor.g.selecting(rows: left, columns: left)
        func loss(_ change: Matrix) -> Double { (g * change * factor.a).dot(change) }
        #expect(loss(change) <= loss(leaving) * (1 + 1e-6) + 1e-12, what)
        if cut.isEmpty { #expect(change.elements.allSatisfy { $0 == 0 }, what) }
      }
    }
  }
}
