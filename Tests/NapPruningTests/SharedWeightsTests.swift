import NapCurvature
import NapGraph
import NapKernels
import NapOperators
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// A weight that several nodes read is one layer.
@Suite struct SharedWeightsTests {
  /// How two nodes that read one weight have their biases, and the node that reads it all.
  enum Bias: String, CaseIterable {
    case same, own, none, normalized
  }

  /// `conv a (4) → conv h (3) → pool → linear`, `h` on the whole image or on both halves of it, which are
  /// one image again behind it.
  private func network(_ bias: Bias, inHalves: Bool) -> SmallNetwork {
    var n = SmallNetwork(seed: 3)
    let x = n.input([2, 4, 4])
    let a = n.apply(Relu(), n.conv(x, [4, 2, 3, 3], bias: true, "a"), name: "a.relu")
    let weight = n.graph.addConstant("h.w", n.tensor([3, 4, 1, 1]))
    let numbers = n.tensor([3])
    let statistics = [n.tensor([3]), n.tensor([3]), n.tensor([3]), n.tensor([3], in: 0.5...2)]
    let one = n.graph.addConstant("h.b", numbers)
    func head(_ x: ValueID, _ name: String) -> ValueID {
      var inputs = [x, weight]
      if bias == .same { inputs.append(one) }
      if bias == .own { inputs.append(n.graph.addConstant("\(name).b", numbers)) }
      let y = n.graph.addNode(name, Conv(window: Window(kernel: [1, 1])), inputs)[0]
      guard bias == .normalized else { return y }
      let parameters = statistics.enumerated().map {
        n.graph.addConstant("\(name).bn\($0)", $1)
      }
      return n.graph.addNode("\(name).bn", BatchNormalization(), [y] + parameters)[0]
    }
    var all: ValueID
    if inHalves {
      let parts = n.graph.addNode("split", Split(axis: 2, sizes: [1, 3]), [a], outputCount: 2)
      all = n.apply(Concat(axis: 2), head(parts[0], "h1"), head(parts[1], "h2"), name: "whole")
    } else {
      all = head(a, "h")
    }
    all = n.apply(Relu(), all, name: "h.relu")
    let pooled = n.apply(GlobalAveragePool(), all, name: "pool")
    let flat = n.apply(Flatten(), pooled, name: "flatten")
    n.output(n.linear(flat, 3, 3, "classifier"), [3])
    n.graph = n.graph.withoutDeadNodes()
    return n
  }

  private func layer(_ model: PruningModel) throws -> LayerModel {
    try #require(model.layers.values.first { model.graph.name(of: $0.weight) == "h.w" })
  }

  private func expectClose(_ a: [Double], _ b: [Double], _ what: String = "") {
    let scale = b.map(abs).max() ?? 0
    #expect(a.count == b.count, "\(what)")
    for (x, y) in zip(a, b) { #expect(abs(x - y) <= 1e-4 * scale, "\(what)") }
  }

  private let x = Tensor(
    shape: [5, 2, 4, 4],
    floats: {
      var n = SmallNetwork(seed: 8); return n.tensor([5, 2, 4, 4])
    }().floats)

  /// Read position by position here or there, the weight is the same weight: all that is known of it is.
  @Test(arguments: Bias.allCases) func halvesAreTheWhole(_ bias: Bias) throws {
    let networks = [network(bias, inHalves: false), network(bias, inHalves: true)]
    let outputs = networks.map { $0.graph.evaluate([x])[0].floats }
    #expect(relativeDifference(outputs[0], outputs[1]) < 1e-5)
    let models = try networks.map {
      try PruningModel($0.graph, knowing: [.factors, .removals], from: x)
    }
    let (whole, halves) = (try layer(models[0]), try layer(models[1]))
    #expect(halves.readers.count == 2 && whole.readers.count == 1)
    #expect(halves.shape == whole.shape)
    expectClose(halves.inputInverses[0].dense.elements, whole.inputInverses[0].dense.elements, "A")
    expectClose(halves.outputFactors[0].elements, whole.outputFactors[0].elements, "G")
    // Along a bias of its own, a node has a curvature of its own.
    if bias != .own { expectClose([halves.calibration], [whole.calibration], "exact") }
    for (a, b) in zip(models[1].units.units, models[0].units.units) {
      let scores = zip([a, b], [models[1], models[0]]).map { BlockLoss().score(of: $0, in: $1) }
      expectClose([scores[0]], [scores[1]], "removal")
    }
    #expect(models[0].cost.macs == models[1].cost.macs)
    for (model, network) in zip(models, networks) {
      #expect(try CostModel(network.graph).macs == model.cost.macs)
    }
  }

  @Test func slopesAreSummedBeforeTheyAreSquared() throws {
    let found = try [false, true].map { inHalves -> WeightGradients in
      let graph = network(.same, inHalves: inHalves).graph
      let collector = try GradientCollector(graph, kind: .model, batch: 5, seed: Seed(2))
      collector.add(x.floats)
      let gradients = collector.takeGradients()
      let layers = graph.affineLayers(shapes: try graph.shapes(batch: 1))
      let layer = try #require(layers.first { graph.name(of: $0.node.inputs[1]) == "h.w" })
      return try #require(gradients[layer.index])
    }
    expectClose(found[1].means[0].elements, found[0].means[0].elements, "means")
    expectClose(found[1].squares[0].elements, found[0].squares[0].elements, "squares")
    expectClose(found[1].gates.elements, found[0].gates.elements, "gates")
  }

  /// Wherever biases are kept, the constant part of compensation comes to each node once.
  @Test(arguments: Bias.allCases) func compensationIsThatOfTheWhole(_ bias: Bias) throws {
    let results = try [false, true].map { inHalves -> (masked: Graph, cut: Graph) in
      let graph = network(bias, inHalves: inHalves).graph
      let model = try PruningModel(graph, knowing: [.factors], from: x)
      // A channel that `h` reads, and one that it computes.
      let read = try #require(
        model.units.units.first { unit in
          model.readings(of: unit).contains { graph.name(of: $0.layer.weight) == "h.w" }
        })
      let computed = try #require(
        model.units.units.first { unit in
          model.computings(of: unit).contains { graph.name(of: $0.layer.weight) == "h.w" }
        })
      model.remove(read.index, compensating: true)
      model.remove(computed.index, compensating: true)
      return try model.results()
    }
    let expected = results[0].masked.evaluate([x])[0].floats
    for graph in [results[0].cut, results[1].masked, results[1].cut] {
      try graph.verify()
      #expect(relativeDifference(graph.evaluate([x])[0].floats, expected) < 1e-4)
    }
    let before = network(bias, inHalves: true).graph.evaluate([x])[0].floats
    #expect(relativeDifference(before, expected) > 1e-3)
  }

  /// The merged layer's loss is the sum of its readers' Fisher blocks where their gradients' moments agree.
  @Test func lossesAreThoseOfTheSumOfBlocks() throws {
    let network = network(.same, inHalves: true)
    var graph = network.graph
    // The same function from copies of the weight, each a layer of its own.
    let second = try #require(graph.nodes.firstIndex { $0.name == "h2" })
    let own = graph.addConstant("h2.w", try #require(graph.constants[network.constant("h.w")]))
    graph.nodes[second].inputs[1] = own
    func factors(_ graph: Graph) throws -> [Int: KroneckerFactors] {
      let estimator = try CurvatureEstimator(graph, batch: 5, seed: Seed(1))
      estimator.add(x.floats)
      return estimator.takeFactors()
    }
    let (merged, split) = (try factors(network.graph), try factors(graph))
    let first = try #require(graph.nodes.firstIndex { $0.name == "h1" })
    let blocks = try [first, second].map { try #require(split[$0]).groups[0] }
    let positions = [4.0, 12.0]
    let one = try #require(merged[first]).groups[0]
    #expect(merged[second] == nil)
    expectClose(
      one.a.dense.elements,
      zip(blocks[0].a.dense.elements, blocks[1].a.dense.elements).map { $0 + $1 }, "A")
    expectClose(
      one.g.elements,
      zip(blocks[0].g.elements, blocks[1].g.elements)
        .map { (positions[0] * $0 + positions[1] * $1) / 16 }, "G")
  }

  /// `MatMul` and a `Gemm` that reads the matrix the other way.
  @Test func whatIsReadInAnotherWayIsLeftAsItIs() throws {
    var n = SmallNetwork(seed: 5)
    let x = n.input([4])
    let a = n.apply(Relu(), n.linear(x, 4, 4, "a"), name: "a.relu")
    let weight = n.graph.addConstant("w", n.tensor([4, 4]))
    let one = n.apply(MatMul(), a, weight, name: "one")
    let two = n.apply(Gemm(transB: true), a, weight, name: "two")
    n.output(n.linear(n.apply(Concat(axis: 1), one, two, name: "both"), 8, 3, "out"), [3])
    let input = n.tensor([6, 4])
    let layers = n.graph.affineLayers(shapes: try n.graph.shapes(batch: 1))
    #expect(layers.filter(\.isShared).map(\.node.name) == ["one", "two"])
    let model = try PruningModel(n.graph, knowing: BlockLoss.evidence, from: input)
    for unit in model.units.units where model.mayRemove(unit) {
      let copy = model.copy()
      copy.remove(unit.index, compensating: true)
      let (masked, cut) = try copy.results()
      try cut.verify()
      let outputs = [masked, cut].map { $0.evaluate([input])[0].floats }
      #expect(relativeDifference(outputs[0], outputs[1]) < 1e-5)
      let (before, after) = (
        try #require(n.graph.constants[weight]).floats,
        try #require(masked.constants[weight]).floats
      )
      for (old, new) in zip(before, after) { #expect(new == old || new == 0) }
    }
    let masks = try WeightSelection(model).prune(to: 0.5, criterion: BlockLoss())
    let thinned = model.weighted()
    for (weight, mask) in masks {
      let numbers = try #require(thinned.constants[weight]).floats
      #expect(zip(numbers, mask).allSatisfy { $1 || $0 == 0 })
    }
  }

  /// A bias that two layers share serves one of them only when what the other computes changes too.
  @Test func biasesOfSeveralLayersAreCopiedBeforeTheyChange() throws {
    var n = SmallNetwork(seed: 6)
    let x = n.input([4])
    let a = n.apply(Relu(), n.linear(x, 4, 4, "a"), name: "a.relu")
    let b = n.linear(a, 4, 3, "b")
    let other = n.graph.addConstant("c.w", n.tensor([3, 4]))
    let c = n.apply(Gemm(), x, other, n.constant("b.b"), name: "c")
    n.output(b, [3])
    n.output(c, [3])
    let input = n.tensor([6, 4])
    let model = try PruningModel(n.graph, knowing: [.factors], from: input)
    let unit = try #require(model.units.units.first { !model.readings(of: $0).isEmpty })
    model.remove(unit.index, compensating: true)
    let cut = try model.results().cut
    let (before, after) = (n.graph.evaluate([input]), cut.evaluate([input]))
    #expect(before[1] == after[1])
    let biases = [n.graph, cut].map { graph in
      graph.nodes.first { $0.name == "b" }.flatMap { graph.constants[$0.inputs[2]]?.floats }
    }
    #expect(biases[0] != biases[1])
  }

  /// The bias of a product as its own or added behind it.
  @Test func biasesMayBeAddedBehindProducts() throws {
    func network(addsBehind: Bool) -> SmallNetwork {
      var n = SmallNetwork(seed: 7)
      let x = n.input([4])
      let a = n.apply(Relu(), n.linear(x, 4, 5, "a"), name: "a.relu")
      let weight = n.graph.addConstant("b.w", n.tensor([5, 3]))
      let bias = n.graph.addConstant("b.b", n.tensor([3]))
      let b =
        addsBehind
        ? n.apply(Add(), n.apply(MatMul(), a, weight, name: "product"), bias, name: "b")
        : n.apply(Gemm(transB: false), a, weight, bias, name: "b")
      n.output(b, [3])
      return n
    }
    var n = network(addsBehind: true)
    let input = n.tensor([8, 4])
    let outputs = try [false, true].map { addsBehind -> [Float] in
      let graph = network(addsBehind: addsBehind).graph
      let model = try PruningModel(graph, knowing: [.factors], from: input)
      model.remove(1, compensating: true)
      model.remove(3, compensating: true)
      let cut = try model.results().cut
      try cut.verify()
      return cut.evaluate([input])[0].floats
    }
    #expect(relativeDifference(outputs[1], outputs[0]) < 1e-5)
  }

  /// Rows of a matrix or positions of an example: the same numbers.
  @Test func tokensMayBeRows() throws {
    func network(asRows: Bool) -> SmallNetwork {
      var n = SmallNetwork(seed: 7)
      let x = n.input([4, 5])
      let weights = [n.tensor([5, 6]), n.tensor([6, 3])]
      var value = x
      if asRows { value = n.apply(Reshape(target: [-1, 5]), value, name: "rows") }
      for (index, weight) in weights.enumerated() {
        let constant = n.graph.addConstant("w\(index)", weight)
        value =
          asRows
          ? n.apply(Gemm(transB: false), value, constant, name: "product\(index)")
          : n.apply(MatMul(), value, constant, name: "product\(index)")
        if index == 0 { value = n.apply(Relu(), value, name: "relu") }
      }
      if asRows { value = n.apply(Reshape(target: [-1, 4, 3]), value, name: "tokens") }
      n.output(value, [4, 3])
      return n
    }
    var n = network(asRows: true)
    let input = n.tensor([6, 4, 5])
    let models = try [false, true].map {
      try PruningModel(network(asRows: $0).graph, knowing: [.factors, .removals], from: input)
    }
    #expect(models[0].units.units.count == 6 && models[1].units.units.count == 6)
    let layers = models.map { $0.layers.sorted { $0.key < $1.key }.map(\.value) }
    for (a, b) in zip(layers[0], layers[1]) {
      #expect(a.shape == b.shape)
      expectClose(b.outputFactors[0].elements, a.outputFactors[0].elements)
      expectClose([b.calibration], [a.calibration])
    }
  }
}
