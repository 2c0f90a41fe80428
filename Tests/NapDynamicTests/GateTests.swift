import NapDynamic
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct GateTests {
  @Test func gatesStandWhereTheyPay() throws {
    let graph = try SmallNetwork.blocks().addingGates(GateStyle(), seed: Seed(1))
    let gates = graph.channelGates(try graph.shapes(batch: 1))
    // Neither the stem nor the shortcut has one.
    #expect(gates.map { graph.nodes[$0.product].name } == "abcdef".map { "\($0)/gate" })
    #expect(gates[0].unitCount == 3)
    #expect(gates[0].shares == [0.4, 0.4, 0.2])
  }

  @Test func gatesDecideAboutSingleChannels() throws {
    let graph = try SmallNetwork.blocks().addingGates(GateStyle(block: 1), seed: Seed(1))
    let gates = graph.channelGates(try graph.shapes(batch: 1))
    #expect(gates.map(\.unitCount) == [20, 20, 24, 24, 16, 16])
  }

  @Test func costIsThatOfWhatIsOpen() throws {
    let graph = try SmallNetwork.blocks().deciding()
    let cost = try GatedCost(graph)
    let shapes = try graph.shapes(batch: 1)
    let macs = graph.macsByNode(shapes: shapes)
    #expect(cost.most == Double(macs.reduce(0, +)))
    func of(_ name: String) -> Double {
      graph.nodes.indices.filter { graph.nodes[$0].name == name }.reduce(0) {
        $0 + Double(macs[$1])
      }
    }
    // Of `a` half is open: half of it, and of what reads it, which has a gate of its own.
    var open = [0.5, 1, 1, 1, 1, 1]
    #expect(abs(cost.most - cost.macs(open: open) - 0.5 * of("a") - 0.5 * of("b")) < 1e-6)
    open[1] = 0.25
    let left = 0.5 * of("a") + 0.125 * of("b")
    #expect(abs(cost.most - cost.macs(open: open) - of("a") - of("b") + left) < 1e-6)
    // Through the pool, which keeps zeros.
    open = [1, 1, 1, 1, 0.5, 1]
    #expect(abs(cost.most - cost.macs(open: open) - 0.5 * of("e") - 0.5 * of("f")) < 1e-6)
  }

  /// As files of other programs may have them.
  @Test func gatesMayHaveThresholdsOfTheirOwn() throws {
    var graph = try SmallNetwork.blocks().deciding()
    let gates = graph.channelGates(try graph.shapes(batch: 1))
    graph.constants[graph.nodes[gates[1].threshold].inputs[1]] = Tensor(shape: [1], floats: [1e6])
    let cost = try GatedCost(graph)
    var seen = Saliencies(cost)
    let said = cost.gates.map { copy([Float](repeating: 1, count: $0.unitCount)) }
    defer { said.forEach { $0.deallocate() } }
    seen.add(said.map { UnsafePointer($0) }[...], count: 1)
    #expect(seen.open() == [[1, 0, 1, 1, 1, 1]])
    #expect(graph.gateThreshold == gates[0].alpha)
  }

  /// Gates that are always open go, and nothing else changes; others stay.
  @Test func idleGatesGo() throws {
    var graph = try SmallNetwork.blocks().deciding()
    let gates = graph.channelGates(try graph.shapes(batch: 1))
    for index in [1, 4] {
      graph.constants[graph.nodes[gates[index].threshold].inputs[1]] = Tensor(
        shape: [1], floats: [-1e6])
    }
    let cost = try GatedCost(graph)
    var seen = Saliencies(cost)
    #expect(seen.areIdle == gates.map { _ in false })
    let said = cost.gates.map { copy([Float](repeating: 0, count: $0.unitCount)) }
    defer { said.forEach { $0.deallocate() } }
    seen.add(said.map { UnsafePointer($0) }[...], count: 1)
    #expect(seen.areIdle == [false, true, false, false, true, false])
    let smaller = try graph.removingGates(seen.areIdle)
    let left = smaller.channelGates(try smaller.shapes(batch: 1))
    #expect(left.map { smaller.nodes[$0.product].name } == "acdf".map { "\($0)/gate" })
    let x = graph.input(3)
    let results = try [graph, smaller].map { graph in
      let plan = try Plan(graph, batch: 3)
      plan.inputs[0].update(from: x.floats, count: x.count)
      plan.forward()
      return Array(UnsafeBufferPointer(start: plan.outputs[0], count: plan.outputShapes[0].product))
    }
    #expect(relativeDifference(results[0], results[1]) < 1e-6)
    // Values have the names again that they had without gates.
    let names = smaller.nodes.flatMap { $0.outputs.map(smaller.name(of:)) }
    let before = try SmallNetwork.blocks()
    #expect(
      names.contains("b.bn") && before.nodes.contains { before.name(of: $0.outputs[0]) == "b.bn" })
  }

  @Test func pricesAreDerivativesOfTheCost() throws {
    let cost = try GatedCost(try SmallNetwork.blocks().deciding())
    let open = [0.3, 0.7, 1, 0.5, 0.2, 0.9]
    let prices = cost.prices(open: open)
    for gate in open.indices {
      var more = open
      more[gate] += 1e-3
      #expect(
        abs((cost.macs(open: more) - cost.macs(open: open)) / 1e-3 - prices[gate])
          < 1e-6 * cost.most)
    }
  }

  @Test(arguments: [0.2, 0.5, 0.8]) func thresholdsMeetABudget(_ share: Double) throws {
    let graph = try SmallNetwork.blocks().deciding()
    let cost = try GatedCost(graph)
    var random = Seed(8).generator()
    let said = cost.gates.map { gate in (0..<400 * gate.unitCount).map { _ in random.uniform() } }
    var seen = Saliencies(cost)
    for start in stride(from: 0, to: 400, by: 100) {
      let pointers = zip(said, cost.gates).map { numbers, gate in
        UnsafePointer(copy(Array(numbers[start * gate.unitCount..<(start + 100) * gate.unitCount])))
      }
      seen.add(pointers[...], count: 100)
      pointers.forEach { $0.deallocate() }
    }
    let target = cost.least + share * (cost.most - cost.least)
    let macs = seen.macs(threshold: seen.threshold(for: target))
    #expect(abs(macs.reduce(0, +) / 400 - target) < 0.002 * cost.most)
  }

  private func copy(_ numbers: [Float]) -> UnsafeMutablePointer<Float> {
    let result = UnsafeMutablePointer<Float>.allocate(capacity: numbers.count)
    result.initialize(from: numbers, count: numbers.count)
    return result
  }

  /// Prices rise while examples cost more than the schedule wants, weigh easy ones, and the state says all.
  @Test func pricesFollowTheirState() throws {
    let graph = try SmallNetwork.blocks().deciding()
    let cost = try GatedCost(graph)
    var random = Seed(9).generator()
    let said = cost.gates.map { gate in
      copy((0..<64 * gate.unitCount).map { _ in random.uniform() })
    }
    let gradients = cost.gates.map { copy([Float](repeating: .nan, count: 64 * $0.unitCount)) }
    defer { (said + gradients).forEach { $0.deallocate() } }
    let losses = (0..<64).map { $0 % 2 == 0 ? 0.1 : 2 }
    func step(_ prices: GatePrices, _ progress: Double) -> Double {
      prices.loss(
        at: progress, of: said.map { UnsafePointer($0) }[...], losses: losses,
        gradients: gradients[...])
    }
    func prices() -> GatePrices { GatePrices(cost, target: 0.5 * (cost.least + cost.most)) }
    let (one, other) = (prices(), prices())
    #expect(one.draw.noise == 1)
    // All is open, and at first may be.
    #expect(step(one, 0) == 0)
    for turn in 0..<100 { _ = step(one, 0.01 * Double(turn)) }
    #expect(one.price > 0 && one.draw.step == 101 && one.draw.noise < 0.1)
    other.state = one.state
    #expect(step(one, 1) == step(other, 1) && one.price == other.price)
    for (gate, pointer) in zip(cost.gates, gradients) {
      let units = gate.unitCount
      #expect(
        (0..<64 * units).allSatisfy { $0 / units % 2 == 0 ? pointer[$0] > 0 : pointer[$0] == 0 })
    }
  }

  /// The gradients are those of the loss that is given, with the weights of the examples held.
  @Test func pricesHaveTheirGradients() throws {
    let cost = try GatedCost(try SmallNetwork.blocks().deciding())
    var random = Seed(9).generator()
    let said = cost.gates.map { gate in
      copy((0..<2 * gate.unitCount).map { _ in 0.4 * random.uniform() - 0.1 })
    }
    let gradients = cost.gates.map { copy([Float](repeating: .nan, count: 2 * $0.unitCount)) }
    defer { (said + gradients).forEach { $0.deallocate() } }
    let start = GatePrices(cost, target: cost.least)
    func expected() -> Double {
      var seen = Saliencies(cost)
      seen.add(said.map { UnsafePointer($0) }[...], count: 2)
      return seen.probabilities().reduce(0) { $0 + cost.macs(open: $1) } / 2
    }
    func loss() -> Double {
      start.loss(
        at: 1, of: said.map { UnsafePointer($0) }[...], losses: [0.5, 0.5],
        gradients: gradients[...])
    }
    for _ in 0..<20 { _ = loss() }
    // Both count alike where the usual loss is higher than theirs.
    _ = start.loss(
      at: 1, of: said.map { UnsafePointer($0) }[...], losses: [5, 5], gradients: gradients[...])
    let price = loss() / expected()
    let before = gradients.map { $0[1] }
    for gate in cost.gates.indices {
      let value = said[gate][1]
      said[gate][1] = value + 1e-3
      let more = expected()
      said[gate][1] = value - 1e-3
      let less = expected()
      said[gate][1] = value
      #expect(abs(price * (more - less) / 2e-3 / Double(before[gate]) - 1) < 0.02)
    }
  }

  @Test func similarityHasItsGradients() {
    let (count, units, channels) = (5, 3, 4)
    var random = Seed(12).generator()
    let saliencies = copy((0..<count * units).map { _ in 0.4 * random.uniform() - 0.2 })
    let means = copy((0..<count * channels).map { _ in random.uniform() })
    let gradients = (
      copy([Float](repeating: 0, count: count * units)),
      copy([Float](repeating: 9, count: count * channels))
    )
    defer { [saliencies, means, gradients.0, gradients.1].forEach { $0.deallocate() } }
    func loss() -> Double {
      GateSimilarity(weight: 3).loss(
        saliencies, units: units, means, channels: channels, count: count, gradients: gradients)
    }
    func differences(_ values: UnsafeMutablePointer<Float>, _ count: Int) -> [Float] {
      (0..<count).map { k in
        let value = values[k]
        values[k] = value + 2e-3
        let more = loss()
        values[k] = value - 2e-3
        let less = loss()
        values[k] = value
        return Float((more - less) / 4e-3)
      }
    }
    let expected = (differences(saliencies, count * units), differences(means, count * channels))
    // It adds to what prices have written, and writes what nobody else does.
    for k in 0..<count * units { gradients.0[k] = 1 }
    _ = loss()
    let found = (0..<count * units).map { gradients.0[$0] - 1 }
    #expect(relativeDifference(found, expected.0) < 1e-2)
    #expect(
      relativeDifference((0..<count * channels).map { gradients.1[$0] }, expected.1) < 1e-2)
    // Nothing is lost where they agree.
    for n in 0..<count {
      for k in 0..<units { saliencies[n * units + k] = 0 }
      for k in 0..<channels { means[n * channels + k] = 2 }
    }
    #expect(loss() < 1e-9)
  }

  @Test func decisionsAreDrawnByTheirProbability() throws {
    let x = Tensor(shape: [6], floats: [-0.3, -0.05, 0, 0.05, 0.2, 1])
    let op = DrawnDecision(seed: Seed(5))
    func drawn(_ step: Float, _ noise: Float) -> [Float] {
      op.forward([x, Tensor(shape: [2], floats: [step, noise])])[0].floats
    }
    #expect(drawn(1, 0) == [0, 0, 0, 1, 1, 1])
    #expect(drawn(7, 1) == drawn(7, 1))
    let many = (0..<4000).map { drawn(Float($0), 1) }
    for k in 0..<6 {
      let share = many.reduce(0) { $0 + $1[k] } / 4000
      #expect(abs(share - DrawnDecision.probability(x.floats[k])) < 0.03)
    }
    // Gates of one network draw for themselves.
    let other = DrawnDecision(seed: Seed(6))
    #expect(
      (0..<100).contains {
        drawn(Float($0), 1)
          != other.forward([x, Tensor(shape: [2], floats: [Float($0), 1])])[0].floats
      })
    let draw = Tensor(shape: [2], floats: [3, 1])
    let slopes = op.pullback([x, draw], op.forward([x, draw]), [Tensor(shape: [6], repeating: 2)])
    for (k, value) in x.floats.enumerated() {
      let difference =
        (DrawnDecision.probability(value + 1e-3) - DrawnDecision.probability(value - 1e-3)) / 2e-3
      #expect(abs((slopes[0]?.floats[k] ?? 0) - 2 * difference) < 1e-2)
    }
  }

  @Test(arguments: [[2, 20, 5, 7], [3, 5, 4], [1, 33, 3, 3]]) func channelsAreScaledInAllLayouts(
    _ shape: [Int]
  ) throws {
    var n = SmallNetwork(seed: 5)
    let (x, s) = (n.tensor(shape), n.tensor(Array(shape.prefix(2))))
    let dy = n.tensor(shape)
    let mul = Mul()
    let scales = s.reshaped(to: Array(shape.prefix(2)) + shape.dropFirst(2).map { _ in 1 })
    let y = mul.forward([x, scales])[0]
    let gradients = mul.pullback([x, scales], [y], [dy])
    let dense = Layout(dense: shape)
    let layouts =
      [dense] + (shape.count == 4 ? [Layout(eights: shape), Layout(blocked: shape, .float32)] : [])
    for layout in layouts {
      let kernel = try #require(ChannelScaling(layout))
      func arranged(_ tensor: Tensor) throws -> AlignedBuffer {
        try moved(tensor.floats, from: dense, to: layout)
      }
      let (a, b) = (try arranged(x), try arranged(dy))
      let (result, dx) = (AlignedBuffer(bytes: layout.bytes), AlignedBuffer(bytes: layout.bytes))
      var ds = [Float](repeating: 0, count: s.count)
      s.floats.withUnsafeBufferPointer { s in
        kernel.forward(a.floats, s.baseAddress!, into: result.floats)
        ds.withUnsafeMutableBufferPointer {
          kernel.backward(
            a.floats, s.baseAddress!, outputGradient: b.floats, into: dx.floats,
            scales: $0.baseAddress)
        }
      }
      #expect(relativeDifference(try back(result, layout, dense), y.floats) < 1e-6)
      #expect(relativeDifference(try back(dx, layout, dense), gradients[0]?.floats ?? []) < 1e-6)
      #expect(relativeDifference(ds, gradients[1]?.floats ?? []) < 1e-5)
    }
  }

  private func moved(_ numbers: [Float], from a: Layout, to b: Layout) throws -> AlignedBuffer {
    let (source, result) = (AlignedBuffer(bytes: a.bytes), AlignedBuffer(bytes: b.bytes))
    source.floats.update(from: numbers, count: numbers.count)
    let kernel = try PreparedKernel.reorder(from: a, to: b)
    kernel.bind(.source, to: source.floats)
    kernel.bind(.destination, to: result.floats)
    kernel.run()
    return result
  }

  private func back(_ buffer: AlignedBuffer, _ layout: Layout, _ dense: Layout) throws -> [Float] {
    let kernel = try PreparedKernel.reorder(from: layout, to: dense)
    let result = AlignedBuffer(bytes: dense.bytes)
    kernel.bind(.source, to: buffer.floats)
    kernel.bind(.destination, to: result.floats)
    kernel.run()
    return Array(UnsafeBufferPointer(start: result.floats, count: dense.count))
  }
}
