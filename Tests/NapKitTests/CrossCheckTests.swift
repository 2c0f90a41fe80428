import Foundation
import NapData
import NapDynamic
import NapGraph
import NapKit
import NapOperators
import NapOutputs
import NapReport
import NapTensor
import NapTestSupport
import Testing

/// What nap writes is valid ONNX, and ONNX Runtime computes the same from it.
@Suite(.serialized, .enabled(if: SharedFiles.python != nil, "NAP_PYTHON is not set"))
struct CrossCheckTests {
  /// Runs a network here and there, after it was written, read, and written again; the script fails when the outputs
  /// differ by more than 1e-4.
  private func compare(_ network: Network, sparse: Bool = false) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appending(path: name).path }
    let input = try #require(network.graph.inputs.first)
    let x = try examples(of: network)
    try NumPyFile.write(x, to: path("x.npy"))
    try network.write(to: path("first.onnx"), sparse: sparse)
    try Network(contentsOf: path("first.onnx")).write(to: path("model.onnx"), sparse: sparse)
    let name = network.graph.name(of: input.value)
    _ = try Inference().run(
      Network(contentsOf: path("model.onnx")), inputs: [name: path("x.npy")],
      output: path("out.npz"))
    let check = try SharedFiles.runCrossCheck(
      "compare.py", [path("model.onnx"), name, path("x.npy"), path("out.npz")])
    #expect(check.status == 0)
  }

  private func examples(of network: Network) throws -> Tensor {
    let input = try #require(network.graph.inputs.first)
    let shape = try network.graph.shapes(batch: 3)[input.value.index]
    var random = Seed(9).generator()
    return Tensor(
      shape: shape, floats: (0..<shape.product).map { _ in random.uniform() * 4 - 2 })
  }

  @Test(arguments: Network.architectures.map(\.name))
  func architecturesComputeTheSame(_ name: String) throws {
    try compare(try #require(Network(architecture: name, imageShape: [3, 32, 32], classes: 10)))
  }

  /// What is closed is left out here, and multiplied by zero there.
  @Test(arguments: [1, 8]) func gatedNetworksComputeTheSame(_ block: Int) throws {
    let network = try #require(
      Network(architecture: "resnet8", imageShape: [3, 32, 32], classes: 10))
    var graph = try network.graph.addingGates(GateStyle(block: block), seed: Seed(3))
    var random = Seed(4).generator()
    for gate in graph.channelGates(try graph.shapes(batch: 1)) {
      guard let weight = graph.constants[gate.units.weight] else { continue }
      graph.constants[gate.units.weight] = Tensor(
        shape: weight.shape, floats: weight.floats.map { _ in 2 * random.uniform() - 1 })
    }
    try compare(Network(graph.settingGates(threshold: 0.2)))
  }

  /// The second of two networks is the branch of an `If`, which nobody, some or all examples need.
  @Test(arguments: [0, 1, 3], [false, true])
  func cascadesComputeTheSame(_ asked: Int, _ sparse: Bool) throws {
    let networks = try ["resnet8", "resnet20"].map {
      try #require(Network(architecture: $0, imageShape: [3, 32, 32], classes: 10))
    }
    var graph = try networks[0].graph.askingWhereInDoubt(
      networks[1].graph, distribution: .softmax, axis: 0, threshold: 0)
    let x = try examples(of: networks[0])
    let doubts = [1] + (try graph.showingSaliencies().evaluate([x])[1].floats.sorted(by: >)) + [0]
    graph = try graph.settingGates(threshold: (doubts[asked] + doubts[asked + 1]) / 2)
    try compare(Network(graph), sparse: sparse)
  }

  /// In opset 17, and 19 where an operator needs it.
  @Test(arguments: Pad.Mode.allCases) func padsComputeTheSame(_ mode: Pad.Mode) throws {
    var network = SmallNetwork()
    let x = network.input([3, 4, 5])
    let pad = Pad(before: [0, 1, 3, 0], after: [0, 2, 0, 4], mode: mode)
    let y = network.apply(pad, network.conv(x, [4, 3, 3, 3], "a"), name: "pad")
    network.output(network.conv(y, [2, 7, 3, 3], "b"), [2, 7, 9])
    try compare(Network(network.graph))
  }

  /// On edges between pixels too, where the last bit of a scale decides.
  @Test(arguments: Resize.Coordinates.allCases)
  func resizesComputeTheSame(_ coordinates: Resize.Coordinates) throws {
    var network = SmallNetwork()
    let x = network.conv(network.input([3, 5, 7]), [4, 3, 1, 1], "a")
    // Lengths that are not whole have another meaning in ONNX's own tests.
    let scales: [Float] = coordinates == .alignCorners ? [2, 3] : [0.6, 1.7]
    let targets: [Resize.Target] = [.scales(scales), .sizes([3, 11]), .sizes([10, 4])]
    func add(_ mode: Resize.Mode, _ rounding: Resize.Rounding) throws {
      for target in targets {
        let resize = Resize(
          axes: [2, 3], to: target, mode: mode, coordinates: coordinates, rounding: rounding)
        let y = network.apply(resize, x, name: "y\(network.graph.outputs.count)")
        let shape = try network.graph.shapes(batch: 1)[y.index]
        network.output(y, Array(shape.dropFirst()))
      }
    }
    for rounding in Resize.Rounding.allCases { try add(.nearest, rounding) }
    try add(.linear, .floor)
    try add(.cubic, .floor)
    try compare(Network(network.graph))
  }

  @Test(arguments: (SmallNetwork.all + SmallNetwork.reshaping).map(\.name))
  func smallNetworksComputeTheSame(_ name: String) throws {
    let found = (SmallNetwork.all + SmallNetwork.reshaping).first { $0.name == name }
    try compare(Network(try #require(found).network.graph))
  }

  /// Mostly zeros, in every form that constants have.
  @Test(arguments: SmallNetwork.all.map(\.name)) func sparseFilesComputeTheSame(_ name: String)
    throws
  {
    var graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    for value in graph.constants.keys {
      guard let count = graph.constants[value]?.count, count > 4 else { continue }
      for i in 0..<count where i % 5 != 0 { graph.constants[value]?.floats[i] = 0 }
    }
    try compare(Network(graph), sparse: true)
  }

  /// Products with vectors and stacks of matrices, on both sides, for any rank of the other.
  @Test(arguments: [
    ([4], false), ([4, 3], false), ([2, 4, 3], false), ([1, 2, 4, 3], false), ([3], true),
    ([5, 3], true), ([2, 5, 3], true), ([1, 2, 5, 3], true),
  ]) func productsComputeTheSame(_ weight: [Int], _ isLeft: Bool) throws {
    for shape in [[3, 4], [2, 3, 4]] {
      var network = SmallNetwork()
      let x = network.apply(Relu(), network.input(shape), name: "relu")
      let w = network.graph.addConstant("w", network.tensor(weight))
      let y =
        isLeft
        ? network.apply(MatMul(), w, x, name: "y") : network.apply(MatMul(), x, w, name: "y")
      // Some products are of no batch.
      guard let size = try? network.graph.shapes(batch: 3)[y.index], size.first == 3 else {
        continue
      }
      network.output(y, Array(size.dropFirst()))
      let read = Network(network.graph)
      _ = try read.profile()
      try compare(read)
    }
  }

  /// Outputs of whole numbers too.
  @Test func positionsAreTheSame() throws {
    var graph = SmallNetwork.residual.graph
    let scores = graph.outputs.removeLast()
    let best = graph.addNode("best", ArgMax(axis: 1, keepsAxis: false), [scores.value])
    let two = graph.addNode("two", TopK(count: 2), [scores.value], outputCount: 2)
    graph.outputs = [Graph.Port(value: best[0], dimensions: [.dynamic("N")])]
    graph.outputs += two.map { Graph.Port(value: $0, dimensions: [.dynamic("N"), .fixed(2)]) }
    try compare(Network(graph))
    graph.nodes.append(
      Node(name: "after", op: Relu(), inputs: [best[0]], outputs: [graph.addValue("after")]))
    #expect(throws: GraphError.self) { try graph.verify() }
  }

  @Test(.enabled(if: SharedFiles.models != nil, "no shared models"))
  func realNetworksComputeTheSame() throws {
    for name in ["cifar_resnet20", "cifar_resnet20_folded", "cifar_resnet56"] {
      try compare(try Network(contentsOf: "\(SharedFiles.models ?? "")/\(name).onnx"))
    }
  }
}

@Suite(
  .enabled(if: SharedFiles.models != nil && SharedFiles.data != nil, "no shared models or data"))
struct RealDataTests {
  @Test func accuracyOfARealNetworkIsTheKnownOne() throws {
    let network = try Network(contentsOf: "\(SharedFiles.models ?? "")/cifar_resnet20.onnx")
    let source = try DataSource(path: SharedFiles.data ?? "", preset: "cifar10")
    let report = try Evaluation(source: source).run(network)
    #expect(abs(report.accuracy - 91.73) < 0.005)
    #expect(report.count == 10_000)
  }
}
