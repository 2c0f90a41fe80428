import Foundation
import NapData
import NapDynamic
import NapGraph
@testable import NapKit
import NapOperators
import NapPruning
import NapReport
import NapTestSupport
import NapTraining
import Testing

/// Dynamic pruning from end to end, on generated images.
@Suite(.serialized) struct DynamicTests {
  private static let source = try? DataSource(path: "synthetic", preset: "synthetic")

  private struct Pruned {
    var original: Network
    var network: Network
    var report: PruningReport
  }

  private static let original: Network? = {
    guard let source else { return nil }
    var training = Training(source: source)
    training.epochs = 1
    return try? training.run(training.network("resnet8")).network
  }()

  private static func pruned(_ gates: Pruning.Dynamic.Gates?) -> Pruned? {
    guard let source, let original else { return nil }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.5)
    pruning.dynamic = Pruning.Dynamic(gates: gates)
    pruning.epochs = 1
    pruning.rounds = 1
    pruning.curvatureImages = 128
    guard let (network, report) = try? pruning.run(original) else { return nil }
    return Pruned(original: original, network: network, report: report)
  }

  /// By all tests together.
  private static let byGates: [Pruning.Dynamic.Gates: Pruned] = {
    var result: [Pruning.Dynamic.Gates: Pruned] = [:]
    result[.channels] = pruned(.channels)
    // The default.
    result[.network] = pruned(nil)
    return result
  }()

  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func theMeanMeetsTheBudget(_ gates: Pruning.Dynamic.Gates) throws {
    let pruned = try #require(Self.byGates[gates])
    let dynamic = try #require(pruned.report.dynamic)
    #expect(pruned.report.verified)
    #expect(pruned.network.isDynamic && !pruned.original.isDynamic)
    // On the test split, which it was not fitted to.
    #expect(abs(dynamic.macs.mean - 0.5) < 0.02)
    #expect(dynamic.least < 0.5 && dynamic.most > 0.5)
    #expect(Double(pruned.report.macsAfter) == (dynamic.macs.mean * dynamic.whole).rounded(.down))
    #expect(dynamic.histogram.reduce(0, +) == dynamic.examples)
    for groups in [dynamic.deciles, dynamic.classes, dynamic.difficulties] {
      #expect(groups.reduce(0) { $0 + $1.examples } == dynamic.examples)
      let right = groups.reduce(0.0) { $0 + ($1.accuracy ?? 0) * Double($1.examples) }
      #expect(abs(right / Double(dynamic.examples) - pruned.report.accuracyAfter) < 0.05)
    }
    #expect(dynamic.deciles.map(\.macs) == dynamic.deciles.map(\.macs).sorted())
    #expect(try #require(dynamic.milliseconds).mean > 0)
  }

  /// By a table, in which time goes with work: the mean time is what was asked for.
  @Test func aBudgetOfTimeIsOneOfTheMean() throws {
    let (source, original) = (try #require(Self.source), try #require(Self.original))
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let (table, path) = try Latency.told(of: original, in: folder) {
      Double(100 * $0.inputs * $0.outputs)
    }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    (pruning.goal, pruning.latencyTable) = (.latency(0.5), path)
    (pruning.dynamic, pruning.epochs, pruning.rounds) = (Pruning.Dynamic(), 1, 1)
    pruning.curvatureImages = 128
    let (network, report) = try pruning.run(original)
    #expect(report.verified && network.isDynamic)
    let dynamic = try #require(report.dynamic)
    func time(_ graph: Graph) throws -> Double {
      Double(try CostModel(graph, latencies: table.table).value(.latency))
    }
    let asked = (dynamic.macs.mean - dynamic.least) / (dynamic.most - dynamic.least)
    #expect(asked > 0 && asked < 1)
    // The table does not know the larger network's nodes but by what they were called.
    var renamed = network.graph
    for index in renamed.nodes.indices {
      renamed.nodes[index].name = String(renamed.nodes[index].name.replacing("whole/", with: ""))
    }
    let (own, both) = (try time(network.graph), try time(renamed))
    let mean = own + asked * (both - own)
    #expect(abs(mean / (try time(original.graph)) - 0.5) < 0.04)
    // Gates of channels have no time of their own.
    pruning.dynamic?.gates = .channels
    #expect(throws: UsageError.self) { try pruning.run(original) }
  }

  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func aFileHoldsTheDynamicNetwork(_ gates: Pruning.Dynamic.Gates) throws {
    let pruned = try #require(Self.byGates[gates])
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "dynamic.onnx").path
    try pruned.network.write(to: path)
    let read = try Network(contentsOf: path)
    let report = try Evaluation(source: try #require(Self.source)).run(read)
    #expect(abs(report.accuracy - pruned.report.accuracyAfter) < 0.05)
    #expect(
      abs(try #require(report.dynamic).macs.mean - (pruned.report.dynamic?.macs.mean ?? 0)) < 1e-3)
    #expect(report.renderedAsText().contains("of the MACs in the mean"))
  }

  @Test func otherBudgetsAreOtherThresholdsAndStatistics() throws {
    let pruned = try #require(Self.byGates[.channels])
    let source = try #require(Self.source)
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "dynamic.onnx").path
    try pruned.network.write(to: path)
    let read = try Network(contentsOf: path)
    for share in [0.4, 0.55] {
      let other = try #require(try read.spending(macs: share))
      #expect(GateStatistics.read(other.graph) != GateStatistics.read(read.graph))
      // And back.
      let own = try #require(pruned.report.dynamic?.macs.mean)
      let back = try #require(try other.spending(macs: own))
      #expect(
        relativeDifference(GateStatistics.read(back.graph), GateStatistics.read(read.graph)) < 0.02)
      let dynamic = try #require(try Evaluation(source: source).run(other).dynamic)
      #expect(abs(dynamic.macs.mean - share) < 0.05)
    }
    #expect(throws: UsageError.self) { try pruned.network.spending(macs: 0.01) }
    #expect(try pruned.original.spending(macs: 0.5) == nil)
  }

  @Test func otherBudgetsAreOtherThresholds() throws {
    let pruned = try #require(Self.byGates[.network])
    let source = try #require(Self.source)
    var (accuracies, costs) = ([Double](), [Double]())
    for share in [0.35, 0.5, 0.7] {
      let report = try Evaluation(source: source).run(
        try #require(try pruned.network.spending(macs: share)))
      let dynamic = try #require(report.dynamic)
      #expect(abs(dynamic.macs.mean - share) < 0.02)
      accuracies.append(report.accuracy)
      costs.append(dynamic.macs.mean)
    }
    #expect(costs == costs.sorted() && accuracies.allSatisfy { $0 > 0 })
    #expect(throws: UsageError.self) { try pruned.network.spending(macs: 0.01) }
  }

  /// The network that answers is small, and no layer of it is told of twice.
  @Test func theReportIsOfTheSmallNetwork() throws {
    let pruned = try #require(Self.byGates[.network])
    let convolutions = pruned.original.graph.nodes.count { $0.op is Conv }
    #expect(pruned.report.layers.count { $0.type == "Conv" } == convolutions)
    #expect(pruned.report.layers.reduce(0) { $0 + $1.macsAfter } < pruned.report.macsBefore / 2)
    #expect(pruned.report.parametersAfter == pruned.network.parameters)
  }

  /// Probabilities are computed behind both networks.
  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func aSoftmaxAtTheEndStaysThere(_ gates: Pruning.Dynamic.Gates) throws {
    var graph = try #require(Self.original).graph
    let logits = graph.outputs[0]
    graph.outputs[0].value = graph.addNode("softmax", Softmax(axis: 1), [logits.value])[0]
    let source = try #require(Self.source)
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.5)
    pruning.dynamic = Pruning.Dynamic(gates: gates)
    (pruning.rounds, pruning.curvatureImages) = (1, 128)
    // Gates of channels have to learn something.
    if gates == .network { pruning.epochs = 0 } else { pruning.seconds = 25 }
    let (network, report) = try pruning.run(Network(graph))
    try network.graph.verify()
    #expect(network.graph.nodes.last?.op is Softmax && network.isDynamic && report.verified)
    let again = try Evaluation(source: source).run(network)
    #expect(abs(again.accuracy - report.accuracyAfter) < 0.05)
  }

  @Test func whatIsDynamicIsNotPrunedOnceMore() throws {
    let pruned = try #require(Self.byGates[.network])
    var pruning = Pruning(source: try #require(Self.source))
    pruning.allowsChance = true
    pruning.goal = .macs(0.5)
    pruning.dynamic = Pruning.Dynamic()
    pruning.epochs = 0
    #expect(throws: UsageError.self) { try pruning.run(pruned.network) }
  }

  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func whatChannelsDoIsMeasured(_ gates: Pruning.Dynamic.Gates) throws {
    let pruned = try #require(Self.byGates[gates])
    var analysis = SensitivityAnalysis(source: try #require(Self.source))
    (analysis.criteria, analysis.channelsPerSet, analysis.images) = (["l1"], 1, 64)
    let report = try analysis.run(pruned.network)
    #expect(!report.sets.isEmpty)
  }

  /// Fine-tuning, once more, of a network that has gates already.
  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func aDynamicNetworkCanBeTrained(_ gates: Pruning.Dynamic.Gates) throws {
    let pruned = try #require(Self.byGates[gates])
    var training = Training(source: try #require(Self.source))
    training.seconds = 2
    training.learningRate = 0.001
    let (network, _) = try training.run(pruned.network)
    #expect(network.isDynamic)
    // Training leaves alone what gates decide by: without gradients it would only decay.
    func weights(_ network: Network) throws -> [Tensor?] {
      try network.graph.channelGates(try network.graph.shapes(batch: 1)).flatMap {
        [network.graph.constants[$0.hidden.weight], network.graph.constants[$0.units.weight]]
      }
    }
    #expect(try weights(network) == weights(pruned.network))
  }

  @Test(arguments: Pruning.Dynamic.Gates.allCases)
  func aPageSaysWhatExamplesCost(_ gates: Pruning.Dynamic.Gates) throws {
    let report = try #require(Self.byGates[gates]).report
    let page = RunDirectory.page(report, nil)
    #expect(page.contains("What examples cost"))
    let again = try JSONDecoder().decode(
      PruningReport.self, from: Data(report.renderedAsJSON().utf8))
    #expect(again.dynamic == report.dynamic)
  }
}
