import Foundation
import NapDynamic
import NapEngine
import NapGraph
import NapONNX
import NapOperators
import NapOutputs
import NapTensor
import NapTestSupport
import Testing

/// Two networks in one file, the second a branch that some examples need.
@Suite struct CascadeTests {
  private static let (small, large) = (SmallNetwork.blocks(8), SmallNetwork.blocks(20))

  /// - Parameter asked: the share of the examples of `input` that is asked about.
  private func cascade(_ asked: Double = 0.4, of input: Tensor) throws -> Graph {
    let graph = try Self.small.askingWhereInDoubt(
      Self.large, distribution: .softmax, axis: 0, threshold: 0
    )
    // Between two, as kernels round otherwise than the specification.
    let doubts = [1] + (try doubts(graph, input).sorted(by: >)) + [0]
    let place = Int(asked * Double(input.shape[0]))
    return try graph.settingGates(threshold: (doubts[place] + doubts[place + 1]) / 2)
  }

  private func run(_ graph: Graph, _ x: Tensor, rewrites: Bool = true) throws -> [Float] {
    let plan = try Plan(graph, batch: x.shape[0], rewrites: rewrites)
    plan.inputs[0].update(from: x.floats, count: x.count)
    plan.forward()
    return zip(plan.outputs, plan.outputShapes).flatMap { pointer, shape in
      Array(UnsafeBufferPointer(start: pointer, count: shape.product))
    }
  }

  private func doubts(_ graph: Graph, _ x: Tensor) throws -> [Float] {
    var shown = try graph.showingSaliencies()
    shown.outputs.removeFirst()
    return shown.withoutDeadNodes().evaluate([x])[0].floats
  }

  @Test(arguments: [1, 5, 40], [0.0, 0.4, 0.95])
  func theSecondIsLeftOutWhereTheFirstIsSure(_ count: Int, _ asked: Double) throws {
    let x = Self.small.input(count)
    let graph = try cascade(asked, of: x)
    let rewritten = try #require(graph.skippingClosedBranches(try graph.shapes(batch: count)))
    let branch = try #require(
      rewritten.nodes.compactMap { $0.op as? SkippingBranch }.first)
    #expect(branch.branch.nodes.count { $0.op is Conv } == 8)
    #expect(rewritten.nodes.count { $0.op is Conv } == 8)
    let skipped = try run(graph, x)
    #expect(relativeDifference(skipped, graph.evaluate([x])[0].floats) < 1e-5)
    #expect(relativeDifference(skipped, try run(graph, x, rewrites: false)) < 1e-5)
    #expect(relativeDifference(skipped, rewritten.evaluate([x])[0].floats) < 1e-5)
    // What the second says where it is asked.
    let (first, second) = (Self.small.evaluate([x])[0], Self.large.evaluate([x])[0])
    let threshold = graph.gateThreshold
    for (n, doubt) in try doubts(graph, x).enumerated() {
      for k in 0..<5 {
        let (a, b) = (first.floats[5 * n + k], second.floats[5 * n + k])
        #expect(abs(skipped[5 * n + k] - (doubt > threshold ? b : a)) < 1e-4)
      }
    }
  }

  @Test func costsAreThoseOfWhatIsComputed() throws {
    let x = Self.small.input(40)
    let graph = try cascade(of: x)
    let cost = try GatedCost(graph)
    func macs(_ graph: Graph) throws -> Double {
      Double(graph.macsByNode(shapes: try graph.shapes(batch: 1)).reduce(0, +))
    }
    let (small, large) = (try macs(Self.small), try macs(Self.large))
    #expect(cost.least == small && cost.most == small + large)
    #expect(cost.prices(open: [0.5]) == [large])
    var saliencies = Saliencies(cost)
    try doubts(graph, x).withUnsafeBufferPointer { pointer in
      saliencies.add([try #require(pointer.baseAddress)], count: 40)
    }
    let threshold = saliencies.threshold(for: small + 0.25 * large)
    #expect(abs(saliencies.meanMACs(threshold: threshold) - small - 0.25 * large) < 1)
    #expect(saliencies.macs(threshold: threshold).allSatisfy { $0 == small || $0 == small + large })
  }

  /// Whether examples are independent of each other no graph tells: the file has to.
  @Test func onlyFilesThatSayThatTheyAreDynamicAre() throws {
    var graph = try cascade(of: Self.small.input(8))
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "cascade.onnx").path
    try ONNXWriter().write(graph, to: path)
    let again = try ONNXReader(registry: .all).read(path)
    #expect(again.gates(try again.shapes(batch: 1)).count == 1)
    graph.metadata = []
    #expect(graph.gates(try graph.shapes(batch: 1)).isEmpty)
    #expect(graph.skippingClosedBranches(try graph.shapes(batch: 8)) == nil)
  }

  /// A third network asks the two.
  @Test func cascadesOfCascades() throws {
    let x = Self.small.input(40)
    let inner = try cascade(0.5, of: x)
    let outer = try SmallNetwork.blocks(4).askingWhereInDoubt(
      inner, distribution: .softmax, axis: 0, threshold: 0
    )
    let doubts = try doubts(outer, x)
    #expect(outer.gates(try outer.shapes(batch: 1)).count == 2)
    // Thresholds one by one: `settingGates` is for all.
    let sorted = doubts.prefix(40).sorted()
    let median = (sorted[19] + sorted[20]) / 2
    var graph = outer
    let gate = try #require(
      outer.branchGates(try outer.shapes(batch: 1)).max { $0.nodes.count < $1.nodes.count })
    let value = graph.nodes[gate.threshold].inputs[1]
    graph.constants[value] = Tensor(shape: [1], repeating: median)
    #expect(
      relativeDifference(try run(graph, x), graph.evaluate([x])[0].floats) < 1e-5)
    let cost = try GatedCost(graph)
    #expect(cost.macs(open: [0, 0]) < cost.macs(open: [1, 0]) || cost.macs(open: [0, 0]) < cost.macs(open: [0, 1]))
  }

  /// Plans are nested as deep as branches are.
  @Test func tooManyBranchesAreComputed() throws {
    var n = SmallNetwork(seed: 5)
    let x = n.input([4])
    n.output(n.apply(Neg(), x, name: "values"), [4])
    var graph = n.graph
    for depth in 1...20 {
      graph = try n.graph.askingWhereInDoubt(
        graph, distribution: .softmax, axis: 0, threshold: 0.5
      )
      let gates = graph.gates(try graph.shapes(batch: 1)).count
      #expect(gates == (depth > 16 ? 0 : depth))
    }
    let input = n.tensor([5, 4])
    #expect(relativeDifference(try run(graph, input), graph.evaluate([input])[0].floats) < 1e-6)
  }

  @Test func doubtsOfNoNumberAskNobody() throws {
    var n = SmallNetwork(seed: 5)
    let x = n.input([4])
    n.output(n.apply(Neg(), x, name: "values"), [4])
    let graph = try n.graph.askingWhereInDoubt(
      n.graph, distribution: .softmax, axis: 0, threshold: 0.1
    )
    let input = Tensor(shape: [3, 4], floats: [.nan, 1, 2, 3, 0, 0, 0, 0, 9, 0, 0, 0])
    let said = try run(graph, input)
    #expect(said.prefix(4).contains(where: \.isNaN) && said.dropFirst(4).allSatisfy(\.isFinite))
  }

  /// What is left for other classes, the mean over positions, of all that tells classes.
  @Test(arguments: [Distribution.softmax, .classes, .sigmoid, .decisions])
  func doubtIsWhatIsLeftForOthers(_ distribution: Distribution) throws {
    var n = SmallNetwork(seed: 5)
    let x = n.input([4, 3, 2])
    let values = n.apply(Identity(), x, name: "values")
    n.output(values, [4, 3, 2])
    let graph = try n.graph.askingWhereInDoubt(
      n.graph, distribution: distribution, axis: 0, threshold: 0
    )
    let isLogit = distribution == .softmax || distribution == .sigmoid
    let input = isLogit ? n.tensor([2, 4, 3, 2], in: -3...3) : n.tensor([2, 4, 3, 2], in: 0...1)
    let found = try doubts(graph, input)
    for example in 0..<2 {
      var sum = 0.0
      for position in 0..<6 {
        let y = (0..<4).map { Double(input.floats[24 * example + 6 * $0 + position]) }
        switch distribution {
        case .softmax: sum += 1 - exp(y.max() ?? 0) / y.reduce(0) { $0 + exp($1) }
        case .classes: sum += 1 - (y.max() ?? 0)
        case .sigmoid, .decisions:
          sum += y.reduce(0) {
            let p = distribution == .sigmoid ? 1 / (1 + exp(-$1)) : $1
            return $0 + min(p, 1 - p) / 4
          }
        }
      }
      #expect(abs(Double(found[example]) - sum / 6) < 1e-5)
    }
  }
}
