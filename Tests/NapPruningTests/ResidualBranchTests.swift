import NapCurvature
import NapGraph
import NapKernels
import NapOperators
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Whole residual branches: what counts as one, what is left without it, and what it is worth.
@Suite struct ResidualBranchTests {
  private static func branches(_ graph: Graph) throws -> [String] {
    try graph.residualBranches(graph.shapes(batch: 1)).map { branch in
      let own = branch.nodes.map { graph.nodes[$0].name }.joined(separator: " ")
      return "\(graph.nodes[branch.sum].name): \(own)"
    }
  }

  /// A block whose shortcut is `shortcut`, of 4 channels, behind a first layer.
  private static func block(_ shortcut: (inout SmallNetwork, ValueID) -> ValueID) -> SmallNetwork {
    var n = SmallNetwork()
    let x = n.apply(Relu(), n.conv(n.input([2, 4, 4]), [4, 2, 3, 3], "first"), name: "relu")
    let b = n.apply(Relu(), n.conv(x, [6, 4, 1, 1], bias: true, "b"), name: "b.relu")
    let c = n.normalization(n.conv(b, [4, 6, 3, 3], "c"), 4, "c.bn")
    let sum = n.apply(Add(), shortcut(&n, x), c, name: "sum")
    n.output(n.apply(Relu(), sum, name: "end"), [4, 4, 4])
    return n
  }

  @Test func branchesAreWhatOnlyTheSumNeeds() throws {
    let own = "sum: b b.relu c c.bn"
    #expect(try Self.branches(SmallNetwork.residual.graph) == ["sum: b b.bn b.relu c"])
    #expect(try Self.branches(Self.block { $1 }.graph) == [own])
    // Either side of a sum may go.
    let both = Self.block { $0.conv($1, [4, 4, 1, 1], "s") }
    #expect(try Self.branches(both.graph) == ["sum: s", own])
    // What somebody else reads, or gives out, is no part of it.
    var read = Self.block { $1 }
    let hidden = try #require(read.graph.nodes.first { $0.name == "b.relu" }).outputs[0]
    read.output(read.apply(Abs(), hidden, name: "other"), [6, 4, 4])
    #expect(try Self.branches(read.graph) == ["sum: c c.bn"])
    var frozen = Self.block { $1 }
    frozen.graph.frozenNodes = ["b"]
    #expect(try Self.branches(frozen.graph).isEmpty)
    // No sum, no layer at the end, and an input that nobody else reads.
    #expect(try Self.branches(SmallNetwork.depthwise.graph).isEmpty)
    var scaled = SmallNetwork()
    let x = scaled.input([4, 4, 4])
    let gate = scaled.apply(Sigmoid(), scaled.conv(x, [4, 4, 1, 1], "g"), name: "gate")
    scaled.output(
      scaled.apply(Add(), x, scaled.apply(Mul(), x, gate, name: "scaled"), name: "sum"), [4, 4, 4])
    #expect(try Self.branches(scaled.graph).isEmpty)
    var towers = SmallNetwork()
    let a = towers.conv(towers.input([2, 4, 4], "x"), [3, 2, 1, 1], "a")
    let b = towers.conv(towers.input([2, 4, 4], "y"), [3, 2, 1, 1], "b")
    towers.output(towers.apply(Add(), a, b, name: "sum"), [3, 4, 4])
    #expect(try Self.branches(towers.graph).isEmpty)
  }

  /// Whatever networks there are: what is for one reader alone is dead without that reading.
  @Test func whatIsForOneReaderDiesWithIt() throws {
    var found = 0
    for index in 0..<setting("NAP_RANDOM_NETWORKS", otherwise: 60) {
      let network = RandomNetwork(seed: Seed(11).derived(index), hasRareOutputs: true)
      let what: Comment = "\(index): \(network.blocks.joined(separator: ", "))"
      let graph = network.graph.withoutDeadNodes()
      let (producers, readings) = (graph.producers, graph.readings)
      for (reader, node) in graph.nodes.enumerated() {
        for value in Set(node.inputs) where producers[value.index] != nil {
          let own = graph.nodes(
            onlyFor: value, readBy: reader, producers: producers, readings: readings)
          var cut = graph
          let nothing = cut.addConstant("nothing", Tensor(shape: [], floats: [0]))
          cut.nodes[reader].inputs = node.inputs.map { $0 == value ? nothing : $0 }
          let left = Set(cut.withoutDeadNodes().nodes.map(\.name))
          let dead = graph.nodes.indices.filter { !left.contains(graph.nodes[$0].name) }
          #expect(own == dead, what)
          found += own.count
        }
      }
    }
    #expect(found > 100)
  }

  /// With a time that grows with the square of the depth, this would take ten minutes.
  @Test func networksMayBeDeep() throws {
    var network = SmallNetwork()
    var x = network.input([2])
    for k in 0..<30_000 {
      x = network.apply(Add(), x, network.linear(x, 2, 2, "layer\(k)"), name: "sum\(k)")
    }
    network.output(x, [2])
    let branches = try Self.branches(network.graph)
    #expect(branches.count == 30_000)
    #expect(branches.last == "sum29999: layer29999")
  }

  /// Whatever networks there are: without a branch they are what they are with its last layer's weights at zero.
  @Test func networksWithoutBranchesComputeWhatMaskedOnesDo() throws {
    var found = 0
    for index in 0..<setting("NAP_RANDOM_NETWORKS", otherwise: 60) {
      var network = RandomNetwork(seed: Seed(7).derived(index))
      let what: Comment = "\(index): \(network.blocks.joined(separator: ", "))"
      let x = network.inputs(6)
      let model = try PruningModel(network.graph, knowing: BlockLoss.evidence, from: x)
      var units = UnitSelection(model, criterion: BlockLoss(), cost: .macs)
      for _ in 0..<3 where units.removeNext() {}
      for branch in model.branches.indices where model.mayRemove(branch: branch) {
        let loss = model.loss(ofBranch: branch)
        #expect(loss.isFinite && loss >= 0, what)
        model.remove(branch: branch, compensating: true)
      }
      found += model.removedBranches.count
      let (masked, cut) = try model.results()
      try cut.verify()
      let names = Set(cut.nodes.map(\.name))
      for branch in model.removedBranches.map({ model.branches[$0] }) {
        #expect(branch.nodes.allSatisfy { !names.contains(network.graph.nodes[$0].name) }, what)
      }
      #expect(try CostModel(cut).macs == model.cost.macs, what)
      for (a, b) in zip(masked.evaluate([x]), cut.evaluate([x])) {
        #expect(relativeDifference(a.floats, b.floats) < 1e-5, what)
      }
    }
    #expect(found > 10)
  }

  /// `½ tr(G W cov(a) Wᵀ)`, and what stands for the branch is its mean.
  @Test func itsLossIsThatOfTheMean() throws {
    var n = SmallNetwork()
    let x = n.input([5])
    let h = n.linear(x, 5, 3, "first")
    let b = n.linear(h, 3, 3, "b")
    let sum = n.apply(Add(), h, b, name: "sum")
    n.output(n.linear(sum, 3, 2, "last"), [2])
    let data = n.tensor([64, 5])
    let estimator = try CurvatureEstimator(n.graph, batch: 64, seed: Seed(1))
    estimator.add(data.floats)
    let factors = estimator.takeFactors()
    let model = try PruningModel(n.graph, factors: factors, damping: 1e-9)
    #expect(model.branches.count == 1)
    let layer = try #require(model.layers[model.branches[0].tail[0]])
    let factor = try #require(factors[layer.node]).groups[0]
    let (a, w) = (factor.a.blocks[0], layer.weights[0])
    var covariance = Matrix(rows: 3, columns: 3)
    for i in 0..<3 { for j in 0..<3 { covariance[i, j] = a[i, j] - a[i, 3] * a[j, 3] / a[3, 3] } }
    let weights = w.selecting(columns: [0, 1, 2])
    let expected = 0.5 * layer.calibration * (factor.g * weights * covariance).dot(weights)
    #expect(abs(model.loss(ofBranch: 0) - expected) < 1e-3 * expected)
    model.remove(branch: 0, compensating: true)
    let cut = try model.results().cut
    let node = try #require(cut.nodes.first { $0.name == "sum" })
    let constant = try #require(cut.constants[node.inputs[1]])
    #expect(constant.shape == [1, 3])
    var seen = n.graph
    seen.outputs = [.init(value: b, dimensions: [.dynamic("N"), .fixed(3)])]
    let said = seen.evaluate([data])[0].floats
    for k in 0..<3 {
      let mean = (0..<64).reduce(Float(0)) { $0 + said[3 * $1 + k] } / 64
      #expect(abs(constant.floats[k] - mean) < 1e-4)
    }
  }

  /// Layers that take the same time however wide they are: only what goes as a whole makes a network faster.
  @Test(arguments: [Rounding.single, .automatic])
  func whereOnlyDepthTakesTimeBranchesGo(_ rounding: Rounding) throws {
    var network = SmallNetwork()
    var x = network.apply(
      Relu(), network.conv(network.input([2, 4, 4]), [8, 2, 3, 3], "first"), name: "relu")
    for k in 0..<4 {
      let b = network.apply(
        Relu(), network.conv(x, [8, 8, 1, 1], "b\(k)"), name: "b\(k).relu")
      x = network.apply(Add(), x, network.conv(b, [8, 8, 1, 1], "c\(k)"), name: "sum\(k)")
    }
    network.output(x, [8, 4, 4])
    let layers = network.graph.nodes.filter { $0.op is Conv }.map(\.name)
    let table = LatencyTable(
      layers.flatMap { name in
        [1, 2, 4, 8].map {
          LatencyTable.Entry(node: name, inputs: $0, outputs: $0, nanoseconds: 1000)
        }
      })
    let batch = network.tensor([8, 2, 4, 4])
    func model() throws -> PruningModel {
      let estimator = try CurvatureEstimator(network.graph, batch: 8, seed: Seed(1))
      estimator.add(batch.floats)
      return try PruningModel(network.graph, factors: estimator.takeFactors(), latencies: table)
    }
    let pruned = try model()
    let units = pruned.ranking(by: BlockLoss(), .latency, rounding)
    let losses = pruned.branches.indices.map { pruned.loss(ofBranch: $0) }
    var selection = BranchSelection(pruned, cost: .latency, beside: units, compensates: true)
    let isMet = try selection.remove(pruned, .latency, downTo: 5000)
    #expect(isMet && pruned.removedUnits.isEmpty && pruned.removedBranches.count == 2)
    // The cheapest first.
    #expect(pruned.removedBranches.first == losses.indices.min { losses[$0] < losses[$1] })
    #expect(pruned.cost.value(.latency) == 5000)
    #expect(try CostModel(pruned.results().cut, latencies: table).value(.latency) == 5000)
    #expect(
      UnitSelection.smallest(try model(), .latency, rounding: rounding, removingBranches: true)
        == 1000)
    #expect(UnitSelection.smallest(try model(), .latency, rounding: rounding) == 9000)
  }

  /// What a branch counts decides whether it or channels go; what it costs is told as it is.
  @Test func branchesCountAsMuchAsIsSaid() throws {
    var network = Self.block { $0.conv($1, [4, 4, 1, 1], "s") }
    let batch = network.tensor([8, 2, 4, 4])
    for (weight, isBranch) in [(1e-9, true), (1e9, false)] {
      let estimator = try CurvatureEstimator(network.graph, batch: 8, seed: Seed(1))
      estimator.add(batch.floats)
      let model = try PruningModel(network.graph, factors: estimator.takeFactors())
      let losses = model.branches.indices.map { model.loss(ofBranch: $0) }
      var selection = BranchSelection(
        model, cost: .macs, beside: model.ranking(by: BlockLoss(), .macs, .single),
        compensates: true, weight: weight)
      let isRemoved = selection.removeNext(saving: .infinity)
      #expect(isRemoved)
      #expect(model.removedBranches.count == (isBranch ? 1 : 0))
      #expect(model.removedUnits.count == (isBranch ? 0 : 1))
      if let gone = model.removedBranches.first { #expect(selection.removedLoss == losses[gone]) }
    }
  }

  /// One side of a sum at most, and nothing in what is gone already.
  @Test func somethingIsLeftOfEverySum() throws {
    let both = Self.block { $0.conv($1, [4, 4, 1, 1], "s") }
    let model = try PruningModel(both.graph)
    #expect(model.mayRemove(branch: 0) && model.mayRemove(branch: 1))
    model.remove(branch: 0, compensating: false)
    #expect(!model.mayRemove(branch: 0) && !model.mayRemove(branch: 1))
    let copy = model.copy()
    #expect(copy.removedBranches == [0] && !copy.mayRemove(branch: 1))
  }
}
