import Foundation
import NapData
import NapFuzzing
import NapGraph
import NapKit
import NapTensor
import NapTestSupport
import Testing

/// Networks made at random are read, measured, run, pruned under one goal or another by one criterion or
/// another, and written, and ONNX Runtime computes from both files what nap does.
///
/// `NAP_RANDOM_GRAPHS` says how many, `NAP_RANDOM_SEED` which, `NAP_RANDOM_FIRST` from where on; without, only every
/// fourth is pruned.
@Suite(.serialized) struct RandomGraphTests {
  private static let goals: [(Pruning.Granularity, Pruning.Goal)] = [
    (.channels, .macs(0.6)), (.channels, .parameters(0.6)), (.weights, .sparsity(0.6)),
    (.channels, .macs(0.9)), (.pattern(kept: 2, size: 4), .macs(1)), (.channels, .maxDrop(5)),
    (.channels, .latency(0.7)),
  ]

  @Test func graphsComeThroughWhole() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let wanted = setting("NAP_RANDOM_GRAPHS", otherwise: 0)
    let (count, step) = wanted > 0 ? (wanted, 1) : (1000, 4)
    var pruned = 0
    let first = setting("NAP_RANDOM_FIRST", otherwise: 0)
    for index in first..<first + count {
      let seed = Seed(UInt64(setting("NAP_RANDOM_SEED", otherwise: 41))).derived(index)
      var random = RandomNetwork(seed: seed, hasRareOutputs: true)
      let what: Comment = "\(index): \(random.blocks.joined(separator: ", "))"
      let x = random.inputs(3)
      let name = folder.appending(path: String(index)).path
      try Network(random.graph).write(to: "\(name).onnx")
      let network = try Network(contentsOf: "\(name).onnx")
      _ = try network.profile()
      try Self.keep(network, x, "\(name).npz")
      guard index % step == 0 else { continue }
      let data = folder.appending(path: "data.npy").path
      try NumPyFile.write(random.inputs(64), to: data)
      do {
        let pruning = try Self.pruning(index / step, data)
        if index % 50 == 20 {
          var analysis = SensitivityAnalysis(source: pruning.source)
          (analysis.images, analysis.curvatureImages) = (8, 16)
          _ = try analysis.run(network)
        }
        let smaller = try pruning.run(network).network
        try smaller.write(to: "\(name)-pruned.onnx", sparse: index % 5 == 0)
        try Self.keep(smaller, x, "\(name)-pruned.npz")
        pruned += 1
      } catch {
        let reason = (error as? WorkStopped)?.reason ?? error
        #expect((reason as? any NapError)?.problem.isEmpty == false, what)
        if wanted > 0 { print("\(what): \(reason)") }
      }
    }
    #expect(10 * step * pruned > 8 * count, "only \(pruned) could be pruned")
    guard SharedFiles.python != nil else { return }
    let check = try SharedFiles.runCrossCheck("compare_all.py", [folder.path])
    #expect(check.status == 0, "\(check.output)")
  }

  private static func pruning(_ index: Int, _ data: String) throws -> Pruning {
    var pruning = Pruning(source: try DataSource(path: data, preset: "plain"))
    (pruning.granularity, pruning.goal) = goals[index % goals.count]
    // Latencies are measured of each kernel, which takes long: a few are enough.
    if pruning.goal == .latency(0.7), index % 4 > 0 { pruning.goal = .macs(0.7) }
    let criteria = Pruning.criteria.map(\.name)
    pruning.criterion = pruning.granularity == .channels ? criteria[index % criteria.count] : "nap"
    pruning.epochs = index % 20 == 0 ? 1 : 0
    pruning.multiple = index % 3 == 0 ? nil : 1
    pruning.curvatureImages = 16
    return pruning
  }

  /// Writes inputs and what the network makes of them.
  private static func keep(_ network: Network, _ x: Tensor, _ path: String) throws {
    let outputs = try network.graph.outputs(of: x)
    try NumPyFile.writeArchive(
      [(name: "x", tensor: x)] + outputs.enumerated().map { (name: "y\($0)", tensor: $1) }, to: path
    )
  }
}
