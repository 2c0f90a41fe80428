import Foundation
import NapData
import NapEngine
import NapGraph
import NapKit
import NapOperators
import NapOutputs
import NapPruning
import NapReport
import NapSearch
import NapTensor
import NapTestSupport
import NapTraining
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The pipeline on generated images: small, but the real thing.
@Suite(.serialized) struct PruningTests {
  private static let source = try? DataSource(path: "synthetic", preset: "synthetic")

  /// A network trained for a moment, by all tests together.
  private static let trained: Network? = {
    guard let source else { return nil }
    var training = Training(source: source)
    training.epochs = 1
    return try? training.run(training.network("resnet8")).network
  }()

  private func pruning(_ goal: Pruning.Goal, _ granularity: Pruning.Granularity) throws -> Pruning {
    var pruning = Pruning(source: try #require(Self.source))
    pruning.allowsChance = true
    pruning.goal = goal
    pruning.granularity = granularity
    pruning.epochs = 0
    pruning.curvatureImages = 128
    pruning.rounds = 1
    return pruning
  }

  @Test func channelsGoToTheTargetAndTheCutIsVerified() throws {
    let network = try #require(Self.trained)
    let (result, report) = try pruning(.macs(0.7), .channels).run(network)
    #expect(report.verified)
    #expect(report.macsAfter == result.macs && Double(result.macs) <= 0.7 * Double(network.macs))
    // Ten classes: better than guessing by far.
    #expect(report.accuracyAfter > 20)
    let again = try pruning(.macs(0.7), .channels).run(network)
    #expect(again.network.graph.constants == result.graph.constants)
  }

  /// Losses are computed from what the softmax and the positions are computed from.
  @Test func networksMayEndInPositions() throws {
    let plain = try #require(Self.trained)
    var graph = plain.graph
    let scores = graph.outputs.removeLast()
    let shares = graph.addNode("shares", Softmax(), [scores.value])
    let best = graph.addNode("best", TopK(count: 3), shares, outputCount: 2)
    graph.outputs = best.map { Graph.Port(value: $0, dimensions: [.dynamic("N"), .fixed(3)]) }
    let (result, report) = try pruning(.macs(0.7), .channels).run(Network(graph))
    let (other, plainReport) = try pruning(.macs(0.7), .channels).run(plain)
    #expect(report.verified && report.accuracyAfter == plainReport.accuracyAfter)
    #expect(result.macs == other.macs)
    #expect(result.graph.outputs == graph.outputs)
    #expect(result.graph.nodes.suffix(2).map(\.name) == ["shares", "best"])
    try result.graph.verify()
  }

  @Test func weightsGoToTheTarget() throws {
    let network = try #require(Self.trained)
    let (result, report) = try pruning(.sparsity(0.5), .weights).run(network)
    #expect(report.verified)
    #expect(result.macs == network.macs)
    let weights = report.layers.reduce(0) { $0 + $1.shapeBefore.product }
    let nonzero = report.layers.reduce(0) { $0 + $1.nonzeroAfter }
    #expect(abs(Double(nonzero) / Double(weights) - 0.5) < 1e-3)
  }

  @Test(arguments: ["concatenating", "shared", "groups transposed"])
  func normalizationsAreRestoredAndFoldedAgain(_ name: String) throws {
    let network = try #require(SmallNetwork.all.first { $0.name == name }).network
    let images = Tensor.noise(
      try network.graph.shapes(batch: 64)[network.graph.inputs[0].value.index])
    let path = try SharedFiles.makeTemporaryFolder().appending(path: "images.npy").path
    try NumPyFile.write(images, to: path)
    let data = try DataSource(path: path, preset: "plain").open(.train, for: nil)
    let preset = try #require(Preset.named("plain"))
    let restored = try RestoredNormalizations(
      network.graph, data: data, preset: preset, seed: Seed(0))
    #expect(restored.graph.nodes.count > network.graph.nodes.count)
    let uses = network.graph.constantUses
    for (index, node) in restored.graph.nodes.enumerated() {
      guard let op = node.op as? any AffineOperator, !(op is Gemm) else { continue }
      let weight = try #require(restored.graph.constants[node.inputs[1]])
      // What several read is nobody's to scale.
      guard uses[node.inputs[1]] == 1 else {
        #expect(!(restored.graph.nodes[index + 1].op is BatchNormalization))
        #expect(weight == network.graph.constants[node.inputs[1]])
        continue
      }
      #expect(restored.graph.nodes[index + 1].op is BatchNormalization)
      // As long as they would have been drawn, whatever folding has made of them.
      let rows = op.matrices(ofWeight: weight)
      let width = rows.shape[2]
      for row in 0..<rows.count / width {
        let square = rows.floats[row * width..<(row + 1) * width].reduce(0) { $0 + $1 * $1 }
        #expect(abs(square - 2) < 1e-3)
      }
    }
    let folded = restored.fold(restored.graph)
    #expect(folded.nodes.map(\.name) == network.graph.nodes.map(\.name))
    let outputs = try [network.graph, restored.graph, folded].map { graph in
      let plan = try Plan(graph, batch: 64)
      plan.inputs[0].update(from: images.floats, count: images.count)
      plan.forward()
      return Array(UnsafeBufferPointer(start: plan.outputs[0], count: plan.outputShapes[0].product))
    }
    #expect(relativeDifference(outputs[1], outputs[0]) < 1e-4)
    #expect(relativeDifference(outputs[2], outputs[0]) < 1e-4)
  }

  /// With training in between, by factors of their own.
  @Test(arguments: ["shared", "transposed", "groups transposed"])
  func sharedAndTransposedWeightsAreTrained(_ name: String) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "images.npy").path
    try NumPyFile.write(Tensor.noise([128, 2, 4, 4]), to: path)
    var pruning = Pruning(source: try DataSource(path: path, preset: "plain"))
    pruning.allowsChance = true
    pruning.goal = .macs(0.8)
    pruning.rounds = 1
    pruning.epochs = 2
    let network = Network(try #require(SmallNetwork.all.first { $0.name == name }).network.graph)
    let (result, report) = try pruning.run(network)
    #expect(report.verified && Double(result.macs) <= 0.8 * Double(network.macs))
    #expect(result.graph.nodes.map(\.name) == network.graph.nodes.map(\.name))
    try result.graph.verify()
    let written = folder.appending(path: "network.onnx").path
    try result.write(to: written)
    #expect(try Network(contentsOf: written).macs == result.macs)
  }

  /// Any network, any outputs: here an image that comes out again.
  @Test func imagesWithoutLabelsWillDo() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "images.npy").path
    try NumPyFile.write(Tensor.noise([64, 3, 4, 4]), to: path)
    var pruning = Pruning(source: try DataSource(path: path, preset: "plain"))
    pruning.allowsChance = true
    pruning.goal = .macs(0.7)
    pruning.rounds = 1
    pruning.epochs = 0
    #expect(try pruning.run(Network(SmallNetwork.splitAttention.graph)).report.verified)
    pruning.epochs = 2
    let (result, report) = try pruning.run(Network(SmallNetwork.shuffled.graph))
    #expect(report.verified && report.accuracyBefore > 99.9 && report.accuracyAfter > 0)
    #expect(Double(result.macs) <= 0.7 * Double(report.macsBefore))
    pruning.frozenNodes = ["nowhere"]
    #expect(throws: UsageError.self) { try pruning.run(Network(SmallNetwork.shuffled.graph)) }
  }

  @Test func asMuchGoesAsMayBeLost() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let network = try #require(Self.trained)
    var pruning = try pruning(.maxDrop(5), .channels)
    pruning.epochs = 8
    let run = try RunDirectory(creating: folder.appending(path: "run").path)
    let (result, report) = try pruning.run(network, in: run)
    #expect(report.verified && result.macs < network.macs)
    // Some steps down, then three trainings.
    #expect(report.curve.count > 3)
    let entries = try RunDirectory(reading: folder.appending(path: "run").path).entries
    #expect(entries.map(\.point) == report.curve)
    #expect(report.curve.contains { $0.macs == Double(result.macs) / Double(network.macs) })
  }

  @Test func patternsAreKeptThroughTraining() throws {
    let network = try #require(Self.trained)
    var pruning = try pruning(.maxDrop(1), .pattern(kept: 2, size: 4))
    pruning.epochs = 1
    let (result, report) = try pruning.run(network)
    #expect(report.verified && report.granularity == "2:4")
    for layer in report.layers where layer.shapeBefore[1] % 4 == 0 {
      #expect(2 * layer.nonzeroAfter <= layer.shapeBefore.product, "\(layer.name)")
    }
    let sizes = try #require(report.sparseBytes)
    #expect(sizes.plain == report.bytesAfter && sizes.compressed < sizes.plain)
    #expect(result.fileSizes == sizes)
  }

  /// The clock decides; the bound is generous, since machines are busy.
  @Test func theTimeGivenIsKept() throws {
    let network = try #require(Self.trained)
    var pruning = try pruning(.macs(0.6), .channels)
    pruning.epochs = nil
    pruning.seconds = 12
    let report = try pruning.run(network).report
    #expect(report.verified && Double(report.macsAfter) <= 0.6 * Double(report.macsBefore))
    pruning.seconds = 1e-3
    #expect(throws: UsageError.self) { try pruning.run(network) }
  }

  @Test func latenciesAreMeasuredWrittenAndDecidedBy() throws {
    let network = try #require(Self.trained)
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let written = folder.appending(path: "measured.csv").path
    let measured = try Latency(measuring: network)
    try measured.csv.write(toFile: written, atomically: true, encoding: .utf8)
    #expect(try Latency(contentsOf: written, for: network).csv == measured.csv)
    // Times in proportion to work, not to how busy this machine is, decide here.
    var (table, path) = try Latency.told(of: network, in: folder) {
      Double(100 * $0.inputs * $0.outputs)
    }
    var pruning = try pruning(.latency(0.7), .channels)
    pruning.latencyTable = path
    let latency = try #require(try pruning.run(network).report.latency)
    let (before, after) = (latency.predictedBefore, latency.predictedAfter)
    #expect(try #require(after) <= 0.7 * #require(before))
    // A node may be called anything.
    for name in ["two\nlines", "a\r\nb,c", "\u{2028}", "back\\slash", "\\u{a}", " blank"] {
      var odd = network
      let index = try #require(odd.graph.nodes.firstIndex { $0.op is any AffineOperator })
      for entry in table.table.entries.indices
      where table.table.entries[entry].node == network.graph.nodes[index].name {
        table.table.entries[entry].node = name
      }
      odd.graph.nodes[index].name = name
      try table.csv.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(try Latency(contentsOf: path, for: odd).csv == table.csv)
      for entry in table.table.entries.indices where table.table.entries[entry].node == name {
        table.table.entries[entry].node = network.graph.nodes[index].name
      }
    }
    try "node,time\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: UsageError.self) { try Latency(contentsOf: path, for: network) }
  }

  /// Layers that take the same time however wide they are: only whole branches make a network faster.
  @Test func whereOnlyDepthTakesTimeBranchesGo() throws {
    let network = try #require(Self.trained)
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = try pruning(.latency(0.75), .channels)
    pruning.latencyTable = try Latency.told(of: network, in: folder) { _ in 1000 }.path
    let (smaller, report) = try pruning.run(network)
    #expect(report.verified)
    let latency = try #require(report.latency)
    #expect(try #require(latency.predictedAfter) <= 0.75 * #require(latency.predictedBefore))
    let gone = report.layers.filter(\.shapeAfter.isEmpty)
    #expect(!gone.isEmpty && gone.allSatisfy { $0.macsAfter == 0 && $0.nonzeroAfter == 0 })
    let branches = try #require(report.removals).flatMap { $0.branches ?? [] }
    #expect(!branches.isEmpty)
    #expect(report.renderedAsText().contains("gone"))
    #expect(report.layers.reduce(0) { $0 + $1.macsAfter } == smaller.macs)
    // And back from the file.
    let file = folder.appending(path: "smaller.onnx").path
    try smaller.write(to: file)
    #expect(try Network(contentsOf: file).macs == smaller.macs)
    // What stayed is said of what is gone, too: nothing.
    let before = network.graph
    let weight = try #require(before.nodes.first { $0.name == gone[0].name }).inputs[1]
    let kept = smaller.kept().parameters[before.name(of: weight)]
    #expect(kept?.shape == gone[0].shapeBefore && kept?.kept[0] == [])
    let keptFile = folder.appending(path: "kept.json").path
    try smaller.kept().write(to: keptFile)
    #expect(try String(contentsOfFile: keptFile, encoding: .utf8).contains(#""0":[]"#))
    // By multiply-accumulates, layers get narrower but stay.
    pruning = try self.pruning(.macs(0.5), .channels)
    #expect(try pruning.run(network).report.layers.allSatisfy { !$0.shapeAfter.isEmpty })
  }

  /// What is measured here is what was asked for, but for noise: machines are busy.
  @Test func timesThatAreMeasuredAreMeasuredAnew() throws {
    let network = try #require(Self.trained)
    var pruning = try pruning(.latency(0.7), .channels)
    pruning.epochs = 0
    let report = try pruning.run(network).report
    #expect(report.verified && report.macsAfter < report.macsBefore)
    let latency = try #require(report.latency)
    #expect(latency.predictedBefore == nil && latency.measuredAfter > 0)
  }

  @Test func trainingEndsWhenItsTimeIsOver() throws {
    var training = Training(source: try #require(Self.source))
    training.seconds = 0.5
    var left: [Double] = []
    let report = try training.run(training.network("resnet8")) {
      if $0.stage == "training", $0.steps > 0 { left.append($0.secondsLeft ?? .infinity) }
    }.report
    #expect(report.epochs < training.epochs && report.imagesPerSecond > 0)
    #expect(!left.isEmpty && left.allSatisfy { $0 <= 0.5 } && left == left.sorted(by: >))
  }

  private struct Enough: Error {}

  /// Hours of work are not lost when somebody has had enough.
  @Test func whatStopsHalfWayLeavesANetwork() throws {
    let network = try #require(Self.trained)
    func stopped(_ work: (@escaping ProgressHandler) throws -> Void) throws -> Network {
      let error = #expect(throws: WorkStopped.self) {
        try work {
          if $0.stage.contains("tuning") || $0.stage == "training", $0.step > 1 { throw Enough() }
        }
      }
      #expect(error?.reason is Enough)
      return try #require(error).lastGood
    }
    var job = try pruning(.macs(0.6), .channels)
    job.epochs = 1
    #expect(try stopped { _ = try job.run(network, progress: $0) }.macs < network.macs * 7 / 10)
    job = try pruning(.sparsity(0.5), .weights)
    job.epochs = 1
    #expect(try stopped { _ = try job.run(network, progress: $0) }.macs == network.macs)
    var training = Training(source: try #require(Self.source))
    training.epochs = 1
    #expect(try stopped { _ = try training.run(network, progress: $0) }.macs == network.macs)
  }

  @Test func sensitivitiesArePredictedAndMeasured() throws {
    let network = try #require(Self.trained)
    var analysis = SensitivityAnalysis(source: try #require(Self.source))
    analysis.criteria = ["nap", "gate", "random"]
    analysis.channelsPerSet = 4
    analysis.images = 128
    analysis.curvatureImages = 256
    let report = try analysis.run(network)
    #expect(report.criteria.count == 3 && report.sets.allSatisfy { $0.channels <= 4 })
    let nap = try #require(report.criteria.first { $0.name == "nap" })
    let random = try #require(report.criteria.first { $0.name == "random" })
    #expect(nap.rankCorrelation > 0.5 && nap.rankCorrelation > random.rankCorrelation)
    #expect(try report.renderedAsJSON().contains("rank_correlation"))
  }

  @Test func fewImagesTellTheLossOnAll() throws {
    var graph = try #require(Self.trained).graph
    // Sure of some images and unsure of others, which then count more or less.
    let layers = graph.nodes.filter { $0.op is any AffineOperator }
    let classifier = try #require(layers.last).inputs[1]
    let weights = try #require(graph.constants[classifier]).floats
    graph.constants[classifier]?.floats = weights.map { 20 * $0 }
    let preset = try #require(Preset.named("synthetic"))
    let data = SyntheticDataset(count: 512, split: .test)
    var changed = graph
    for (value, role) in graph.parameterRoles where role == .weight {
      changed.constants[value]?.floats = graph.constants[value]?.floats.map { 1.02 * $0 } ?? []
    }
    let outputs = Outputs(guessing: [[1, 10]])
    // What 64 images tell varies by a quarter from draw to draw; the mean of many draws does not.
    let losses = try [(512, 1), (64, 16)].map { images, count in
      let draws = try (0..<count).map { draw in
        let meter = try LossMeter(
          graph, outputs: outputs, pool: data, images: images, preset, seed: Seed(UInt64(draw)))
        #expect(try meter.divergence(of: graph) == 0)
        return try meter.divergence(of: changed)
      }
      return draws.reduce(0, +) / Double(draws.count)
    }
    // By plain sums over all images.
    let plan = try Plan(graph, batch: 64)
    let other = try Plan(changed, batch: 64)
    let loader = Loader(
      dataset: data, preset: preset, batchSize: 64, shuffle: false, augment: false,
      dropLast: false, seed: Seed(0))
    let epoch = loader.epoch(0)
    var sum = 0.0
    while let batch = try epoch.next() {
      for plan in [plan, other] {
        plan.inputs[0].update(from: batch.inputs[0], count: plan.inputShapes[0].product)
        plan.forward()
      }
      sum += outputs.losses(
        of: other.outputs, towards: plan.outputs, count: 64, temperature: 1
      ).reduce(0, +)
    }
    let mean = sum / 512
    #expect(mean > 0)
    for loss in losses { #expect(abs(loss / mean - 1) < 0.2, "\(loss / mean)") }
  }

  @Test func comparisonsAreTablesAndPlots() throws {
    let network = try #require(Self.trained)
    let report = try Comparison(
      try pruning(.maxDrop(1), .channels), criteria: ["nap", "l1"], macs: [0.8, 0.6]
    ).run(network)
    #expect(report.curves.map(\.points.count) == [2, 2])
    #expect(report.renderedAsText().contains("l1"))
    #expect(XMLParser(data: Data(report.renderedAsSVG().utf8)).parse())
  }

  @Test func impossibleTargetsAreRefusedAtOnce() throws {
    #expect(throws: UsageError.self) {
      try pruning(.macs(1e-6), .channels).run(
        try #require(Network(architecture: "resnet8", imageShape: [3, 32, 32], classes: 10)))
    }
  }

  @Test func reportsAreOneJSONObjectWithTheKeysPromised() throws {
    let report = PruningReport(
      accuracyBefore: 1, accuracyAfter: 2, macsBefore: 3, macsAfter: 4, parametersBefore: 5,
      parametersAfter: 6, nonzeroAfter: 7, layers: [], curve: [], seconds: 8, verified: true,
      criterion: "nap", granularity: "channels", seed: 0)
    let object = try JSONSerialization.jsonObject(with: Data(try report.renderedAsJSON().utf8))
    let keys = Set(try #require(object as? [String: Any]).keys)
    #expect(
      keys.isSuperset(of: [
        "accuracy_before", "accuracy_after", "macs_before", "macs_after", "parameters_before",
        "parameters_after", "nonzero_after", "layers", "seconds", "verified",
      ]))
  }
}

@Suite struct SearchTests {
  /// Against a curve of which all is known: the loss grows as the square of what is removed.
  @Test(arguments: [0.5, 1, 3, 50])
  func theDescentEndsAndKeepsWhatIsAllowed(_ allowed: Double) {
    let search = StepwiseDescent(factor: 0.88, allowedDrop: allowed)
    var trials: [Trial] = []
    while let level = search.next(after: trials), trials.count < 100 {
      trials.append(Trial(level: level, drop: 20 * (1 - level) * (1 - level)))
    }
    #expect(trials.count < 100 || allowed >= 20)
    let best = trials.last(where: search.accepts)?.level ?? 1
    let limit = 1 - (allowed / 20).squareRoot()
    if limit > 0 { #expect(best >= limit && best * 0.88 < limit * 1.07) }
  }

  @Test func rankCorrelationsAreSpearmans() {
    #expect(rankCorrelation([1, 2, 3], [10, 20, 90]) == 1)
    #expect(rankCorrelation([1, 2, 3], [3, 2, 1]) == -1)
    #expect(abs(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4]) - 0.9486832980505138) < 1e-12)
    #expect(rankCorrelation([1, 1], [1, 2]) == 0)
  }

  @Test func cubicSchedulesRiseToTheTarget() {
    let values = (0...10).map { cubicSchedule(Double($0) / 10, target: 0.9) }
    #expect(values == values.sorted() && values[0] == 0 && abs(values[10] - 0.9) < 1e-12)
  }
}

extension Tensor {
  fileprivate static func noise(_ shape: [Int]) -> Tensor {
    var random = Seed(8).generator()
    return Tensor(shape: shape, floats: (0..<shape.product).map { _ in random.uniform() * 2 - 1 })
  }
}
