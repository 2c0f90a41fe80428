import Foundation
import NapGraph
import NapOperators
import NapPruning
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

/// What is said to have stayed is what stayed.
@Suite struct KeptIndicesTests {
  /// A network with a part of its units gone, without compensation.
  private func cut(_ graph: NapGraph.Graph, seed: Int) throws -> NapGraph.Graph {
    let model = try PruningModel(graph)
    var random = Seed(5).derived(seed).generator()
    for unit in model.units.units where random.uniform() < 0.3 && model.mayRemove(unit) {
      model.remove(unit.index, compensating: false)
    }
    return try model.results().cut
  }

  /// Checks that a network has, of every parameter of another one, what is said to have stayed.
  private func expectCut(
    _ cut: NapGraph.Graph, from original: NapGraph.Graph, _ kept: KeptIndices, _ what: Comment
  ) throws {
    for (value, tensor) in original.constants {
      let (name, left) = (original.name(of: value), try #require(cut.constants[value], what))
      var expected = tensor
      if let axes = kept.parameters[name] {
        #expect(axes.shape == tensor.shape && !axes.kept.isEmpty, what)
        for (axis, indices) in axes.kept {
          #expect(indices == indices.sorted() && Set(indices).count == indices.count, what)
          expected = expected.selecting(indices, axis: axis)
        }
      }
      #expect(expected == left, "\(what): \(name)")
    }
    let names = original.constants.keys.map { original.name(of: $0) }
    #expect(kept.parameters.keys.allSatisfy(names.contains), what)
    let (before, after) = (try original.shapes(batch: 1), try cut.shapes(batch: 1))
    for node in original.nodes where node.op is any AffineOperator {
      let (old, new) = (before[node.outputs[0].index], after[node.outputs[0].index])
      let axes = kept.values[node.name]
      #expect((axes == nil) == (old == new) && axes?.shape ?? old == old, what)
      #expect(
        new.indices.allSatisfy { axes?.kept[$0]?.count ?? old[$0] == new[$0] },
        "\(what): \(node.name)")
    }
  }

  /// In one round and in several, from the network as it was read, on every kind of layer.
  @Test func theOriginalCutByWhatStayedIsTheResult() throws {
    var several = 0
    let random = (0..<20).map { ("random \($0)", RandomNetwork(seed: Seed(3).derived($0)).graph) }
    let small = (SmallNetwork.all + SmallNetwork.reshaping).map { ($0.name, $0.network.graph) }
    for (name, original) in small + random {
      var graph = original
      for round in 0..<3 {
        let before = graph.cuts
        graph = try cut(graph, seed: round)
        let kept = Network(graph).kept()
        try expectCut(graph, from: original, kept, "\(name), round \(round)")
        if round > 0, graph.cuts != before { several += 1 }
        // A job that was stopped knows of it, too.
        let data = try PropertyListEncoder().encode(Array(graph.cuts.values))
        let again = try PropertyListDecoder().decode([AxisCut].self, from: data)
        #expect(again == Array(graph.cuts.values))
      }
    }
    #expect(several > 10)
  }

  private func pruning(_ granularity: Pruning.Granularity, _ goal: Pruning.Goal) throws -> Pruning {
    var pruning = Pruning(source: try DataSource(path: "synthetic", preset: "synthetic"))
    (pruning.granularity, pruning.goal) = (granularity, goal)
    (pruning.epochs, pruning.curvatureImages, pruning.rounds) = (1, 64, 2)
    pruning.multiple = granularity == .channels ? 1 : nil
    pruning.allowsChance = true
    return pruning
  }

  /// Convolutions without normalizations or biases.
  private var plain: Network {
    var n = SmallNetwork()
    let a = n.apply(Relu(), n.conv(n.input([3, 32, 32]), [12, 3, 3, 3], "c1"), name: "c1.relu")
    let b = n.apply(Relu(), n.conv(a, [12, 12, 3, 3], "c2"), name: "c2.relu")
    let pooled = n.apply(GlobalAveragePool(), b, name: "pool")
    n.output(n.linear(n.apply(Flatten(), pooled, name: "flatten"), 12, 10, "fc"), [10])
    return Network(n.graph)
  }

  /// Two rounds, compensation, training, and normalizations that are put back on the way.
  @Test(arguments: [true, false]) func jobsSayWhatStayed(_ hasNormalizations: Bool) throws {
    let network =
      hasNormalizations
      ? try #require(Network(architecture: "resnet8", imageShape: [3, 32, 32], classes: 10)) : plain
    let result = try pruning(.channels, .macs(0.6)).run(network).network
    let kept = result.kept()
    #expect(kept.parameters.count > 2 && !kept.values.isEmpty && kept.masks.isEmpty)
    var cut = 0
    for (value, tensor) in network.graph.constants {
      var shape = tensor.shape
      if let axes = kept.parameters[network.graph.name(of: value)] {
        cut += 1
        for (axis, indices) in axes.kept { shape[axis] = indices.count }
      }
      #expect(result.graph.constants[value]?.shape == shape)
    }
    // Of biases that were added, the original knows nothing.
    #expect(cut == kept.parameters.count)
  }

  @Test func singleWeightsAreSaidByMasks() throws {
    let network = try #require(
      Network(architecture: "mlp", imageShape: [3, 32, 32], classes: 10))
    let result = try pruning(.weights, .sparsity(0.8)).run(network).network
    let kept = result.kept(masks: true)
    #expect(kept.parameters.isEmpty && !kept.masks.isEmpty)
    let masked = kept.masks.values.reduce(0) { $0 + $1.isKept.count { !$0 } }
    #expect(masked == result.parameters - result.nonzeroParameters)
    try withFolder { folder in
      #expect(throws: UsageError.self) { try kept.write(to: "\(folder)/kept.json") }
      #expect(throws: UsageError.self) { try kept.write(to: "\(folder)/kept.txt") }
      try kept.write(to: "\(folder)/kept.safetensors")
      let tensors = try read("\(folder)/kept.safetensors")
      #expect(tensors.count == kept.masks.count)
      for (name, mask) in kept.masks {
        let tensor = try #require(tensors["\(name)_mask"])
        #expect(tensor.type == "BOOL" && tensor.shape == mask.shape)
        #expect(tensor.bytes.map { $0 != 0 } == mask.isKept)
      }
    }
  }

  @Test func filesHaveWhatStayed() throws {
    let graph = try cut(try #require(SmallNetwork.all.first).network.graph, seed: 1)
    let kept = Network(graph).kept()
    try withFolder { folder in
      try kept.write(to: "\(folder)/kept.json")
      let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/kept.json"))
      #expect(try JSONDecoder().decode(KeptIndices.self, from: data) == kept)
      let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect(json["format"] as? Int == 1)
      try kept.write(to: "\(folder)/kept.safetensors")
      let tensors = try read("\(folder)/kept.safetensors")
      var count = 0
      for (prefix, entries) in [("", kept.parameters), ("values/", kept.values)] {
        for (name, axes) in entries {
          for (axis, indices) in axes.kept {
            let tensor = try #require(tensors["\(prefix)\(name)_kept_\(axis)"])
            #expect(tensor.type == "I64" && tensor.shape == [indices.count])
            #expect(tensor.bytes.numbers(Int64.self).map { Int($0) } == indices)
            count += 1
          }
        }
      }
      #expect(count == tensors.count)
      guard SharedFiles.python != nil else { return }
      let check = try SharedFiles.runCrossCheck(
        "kept.py", ["\(folder)/kept.json", "\(folder)/kept.safetensors"])
      #expect(check.status == 0)
    }
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  /// A reader as the format is described: no gaps, no bytes left, numbers where they can be mapped.
  private func read(_ path: String) throws -> [String: (type: String, shape: [Int], bytes: Data)] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = Int(try #require(data.prefix(8).numbers(UInt64.self).first))
    let body = Data(data.dropFirst(8 + length))
    let header = try #require(
      try JSONSerialization.jsonObject(with: Data(data.dropFirst(8).prefix(length)))
        as? [String: [String: Any]])
    #expect(length % 8 == 0 && header["__metadata__"] as? [String: String] == ["nap.kept": "1"])
    var result: [String: (type: String, shape: [Int], bytes: Data)] = [:]
    var ranges: [Range<Int>] = []
    for (name, entry) in header where name != "__metadata__" {
      let offsets = try #require(entry["data_offsets"] as? [Int])
      let type = try #require(entry["dtype"] as? String)
      let shape = try #require(entry["shape"] as? [Int])
      let size = type == "I64" ? 8 : 1
      #expect(offsets[1] - offsets[0] == shape.product * size && offsets[0] % size == 0)
      ranges.append(offsets[0]..<offsets[1])
      result[name] = (type, shape, Data(body[offsets[0]..<offsets[1]]))
    }
    var end = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      #expect(range.lowerBound == end)
      end = range.upperBound
    }
    #expect(end == body.count)
    return result
  }
}
