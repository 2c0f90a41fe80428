import Foundation
import NapData
import NapGraph
import NapKit
import NapOperators
import NapOutputs
import NapReport
import NapTensor
import NapTestSupport
import Testing

/// What outputs are taken for, and what follows from it.
@Suite(.serialized) struct OutputTests {
  /// A trunk of two convolutions with `features` channels of 4x4 or, pooled, of a vector.
  private struct Sample {
    var network: SmallNetwork
    var x: ValueID

    init(_ features: Int, seed: UInt64 = 21) {
      network = SmallNetwork(seed: seed)
      let a = network.conv(network.input([3, 4, 4]), [12, 3, 3, 3], bias: true, "a")
      let b = network.conv(
        network.apply(Relu(), a, name: "a.relu"), [features, 12, 3, 3], bias: true, "b")
      x = network.apply(Relu(), b, name: "b.relu")
    }

    mutating func vector(_ features: Int, _ count: Int) -> ValueID {
      let pooled = network.apply(GlobalAveragePool(), x, name: "pool")
      return network.linear(
        network.apply(Flatten(), pooled, name: "flat"), features, count, "head")
    }

    mutating func map(_ features: Int, _ count: Int, _ name: String = "map") -> ValueID {
      network.conv(x, [count, features, 1, 1], bias: true, name)
    }

    mutating func apply(_ op: any Operator, _ inputs: ValueID..., name: String) -> ValueID {
      network.graph.addNode(name, op, inputs)[0]
    }
  }

  private static func graph(_ name: String) -> Graph {
    var s = Sample(8)
    // What is appended to the network must be there before it ends.
    var ends: [(ValueID, [Int])] = []
    switch name {
    case "one number": ends = [(s.vector(8, 1), [1])]
    case "numbers": ends = [(s.vector(8, 4), [4])]
    case "logits":
      // Centred and sure, as a trained classifier is.
      ends = [(s.vector(8, 4), [4])]
      let w = s.network.constant("head.w")
      let b = s.network.constant("head.b")
      let floats = s.network.graph.constants[w]?.floats ?? []
      let means = (0..<8).map { j in (0..<4).reduce(Float(0)) { $0 + floats[8 * $1 + j] } / 4 }
      s.network.graph.constants[w]?.floats = floats.enumerated().map {
        6 * ($1 - means[$0 % 8])
      }
      s.network.graph.constants[b]?.floats = [0, 0, 0, 0]
    case "softmax": ends = [(s.apply(Softmax(), s.vector(8, 4), name: "p"), [4])]
    case "sigmoid": ends = [(s.apply(Sigmoid(), s.vector(8, 1), name: "p"), [1])]
    case "segmentation":
      ends = [(s.apply(Softmax(axis: 1), s.map(8, 3), name: "p"), [3, 4, 4])]
    case "positions":
      ends = [(s.apply(ArgMax(axis: 1, keepsAxis: false), s.map(8, 3), name: "best"), [4, 4])]
    case "map": ends = [(s.map(8, 3), [3, 4, 4])]
    case "last":
      let turned = s.apply(Transpose(permutation: [0, 2, 3, 1]), s.map(8, 3), name: "turned")
      ends = [(turned, [4, 4, 3])]
    case "detector":
      let scale = s.network.graph.addConstant("stride", Tensor(shape: [], floats: [100]))
      let boxes = s.apply(Mul(), s.map(8, 4, "boxes"), scale, name: "pixels")
      let classes = s.apply(Sigmoid(), s.map(8, 3, "classes"), name: "scores")
      let all = s.apply(Concat(axis: 1), boxes, classes, name: "all")
      ends = [(s.apply(Reshape(target: [0, 7, 16]), all, name: "rows"), [7, 16])]
    case "anchors":
      let classes = s.apply(Sigmoid(), s.map(8, 2, "classes"), name: "scores")
      let all = s.apply(Concat(axis: 1), s.map(8, 4, "boxes"), classes, name: "all")
      let rows = s.apply(Reshape(target: [0, 6, 16]), all, name: "rows")
      ends = [(s.apply(Transpose(permutation: [0, 2, 1]), rows, name: "turned"), [16, 6])]
    case "two":
      ends = [(s.apply(Softmax(), s.vector(8, 4), name: "p"), [4]), (s.map(8, 2), [2, 4, 4])]
    case "two choices":
      let first = s.apply(Softmax(), s.vector(8, 3), name: "first")
      let pooled = s.apply(GlobalMaxPool(), s.x, name: "largest")
      let flat = s.apply(Flatten(), pooled, name: "largest.flat")
      let second = s.apply(Softmax(), s.network.linear(flat, 8, 2, "other"), name: "second")
      ends = [(s.apply(Concat(axis: 1), first, second, name: "both"), [5])]
    case "tokens":
      let rows = s.apply(Reshape(target: [0, 20, 16]), s.map(8, 20), name: "rows")
      let turned = s.apply(Transpose(permutation: [0, 2, 1]), rows, name: "turned")
      let (scale, shift) = (s.network.tensor([20]), s.network.tensor([20]))
      let normalized = s.apply(
        LayerNormalization(), turned, s.network.graph.addConstant("scale", scale),
        s.network.graph.addConstant("shift", shift), name: "normalized")
      ends = [(normalized, [16, 20])]
    case "embedding":
      let z = s.vector(8, 4)
      let length = s.apply(ReduceL2(axes: [1], keepsAxes: true), z, name: "length")
      ends = [(s.apply(Div(), z, length, name: "unit"), [4])]
    default: preconditionFailure("there is no network '\(name)'")
    }
    for (value, shape) in ends { s.network.output(value, shape) }
    return s.network.graph
  }

  private static func data(_ count: Int = 96, in range: Float = 1) throws -> (DataSource, URL) {
    let folder = try SharedFiles.makeTemporaryFolder()
    var random = Seed(8).generator()
    let x = Tensor(
      shape: [count, 3, 4, 4],
      floats: (0..<count * 48).map { _ in range * (random.uniform() * 2 - 1) })
    let path = folder.appending(path: "x.npy").path
    try NumPyFile.write(x, to: path)
    return (try DataSource(path: path, preset: "plain"), folder)
  }

  private static let expected: [(String, [String])] = [
    ("one number", ["numbers, axis 1, 0+1"]),
    ("numbers", ["numbers, axis 1, 0+4"]),
    ("logits", ["logits, axis 1, 0+4"]),
    ("softmax", ["logits, axis 1, 0+4"]),
    ("sigmoid", ["two-class-logits, axis 1, 0+1"]),
    ("segmentation", ["logits, axis 1, 0+3"]),
    ("positions", ["logits, axis 1, 0+3"]),
    ("map", ["numbers, axis 1, 0+3"]),
    ("last", ["numbers, axis 3, 0+3"]),
    ("detector", ["numbers, axis 1, 0+4", "two-class-probabilities, axis 1, 4+3"]),
    ("anchors", ["numbers, axis 2, 0+4", "two-class-probabilities, axis 2, 4+2"]),
    ("two", ["logits, axis 1, 0+4", "numbers, axis 1, 0+2"]),
    ("two choices", ["probabilities, axis 1, 0+3", "probabilities, axis 1, 3+2"]),
    ("tokens", ["numbers, axis 2, 0+20"]),
    ("embedding", ["unit-vectors, axis 1, 0+4"]),
  ]

  /// Pruned in one shot and with an epoch of training: taken for what it is, verified, and training
  /// has not made it worse.
  @Test(arguments: expected.indices)
  func outputsAreTakenForWhatTheyAre(_ index: Int) throws {
    let (name, expected) = Self.expected[index]
    let (source, folder) = try Self.data()
    defer { try? FileManager.default.removeItem(at: folder) }
    let network = Network(Self.graph(name))
    try network.graph.verify()
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.75)
    pruning.rounds = 1
    var agreements: [Double] = []
    for epochs in [0, 2] {
      pruning.epochs = epochs
      let (result, report) = try pruning.run(network)
      let found = report.outputs.map {
        "\($0.kind), axis \($0.axis), \($0.firstChannel)+\($0.channels)"
      }
      #expect(found == expected)
      #expect(report.verified)
      #expect(result.graph.outputs == network.graph.outputs)
      #expect(result.graph.nodes.map(\.name) == network.graph.nodes.map(\.name))
      #expect(report.outputs.allSatisfy { (0...1).contains($0.agreement) })
      agreements.append(report.outputs.map(\.agreement).reduce(0, +))
    }
    // The loss is what is compared; agreement follows it but for a little.
    #expect(agreements[1] > agreements[0] - 0.05, "\(agreements)")
  }

  @Test func whatTheUserSaysHolds() throws {
    let (source, folder) = try Self.data()
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.75)
    pruning.rounds = 1
    pruning.epochs = 0
    pruning.outputs = ["p": try OutputChoice("numbers*2")]
    let report = try pruning.run(Network(Self.graph("softmax"))).report
    #expect(report.outputs.map(\.kind) == ["numbers"])
    pruning.outputs = ["map": try OutputChoice("logits:1")]
    #expect(try pruning.run(Network(Self.graph("map"))).report.outputs[0].kind == "logits")
    for (name, output, choice) in [
      ("map", "nowhere", "numbers"), ("map", "map", "numbers:4"), ("positions", "best", "numbers"),
    ] {
      pruning.outputs = [output: try OutputChoice(choice)]
      #expect(throws: UsageError.self, "\(output)") {
        try pruning.run(Network(Self.graph(name)))
      }
    }
    for text in ["", "number", "numbers:0", "numbers:x", "numbers*-1", "numbers*2*3", "logits:1:2"]
    {
      #expect(throws: UsageError.self) { try OutputChoice(text) }
    }
  }

  /// Boxes in pixels beside classes in 0...1: both are kept, whatever their scale.
  @Test(arguments: ["detector", "anchors"])
  func rowsOfAllScalesAreKept(_ name: String) throws {
    let (source, folder) = try Self.data()
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.7)
    pruning.epochs = 0
    let report = try pruning.run(Network(Self.graph(name))).report
    #expect(report.outputs.count == 2)
    #expect(report.outputs.allSatisfy { $0.explained ?? 0 > 0.6 }, "\(report.outputs)")
  }

  /// Of few examples, and in batches that they do not fill, the cut is compared with what it should be.
  @Test(arguments: [3, 17, 33]) func fewExamplesAreCompared(_ count: Int) throws {
    let (source, folder) = try Self.data(count)
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.75)
    pruning.epochs = 0
    #expect(try pruning.run(Network(Self.graph("map"))).report.verified)
  }

  /// Two channels that are always zero go from a network without normalizations, and nothing changes.
  @Test func deadChannelsCostNothing() throws {
    let (source, folder) = try Self.data()
    defer { try? FileManager.default.removeItem(at: folder) }
    var network = SmallNetwork(seed: 5)
    let a = network.conv(network.input([3, 4, 4]), [12, 3, 3, 3], bias: true, "a")
    let b = network.conv(
      network.apply(Relu(), a, name: "a.relu"), [3, 12, 3, 3], bias: true, "b")
    network.output(network.apply(Sigmoid(), b, name: "y"), [3, 4, 4])
    let (weight, bias) = (network.constant("a.w"), network.constant("a.b"))
    for dead in [3, 7] {
      for i in 0..<27 { network.graph.constants[weight]?.floats[27 * dead + i] = 0 }
      network.graph.constants[bias]?.floats[dead] = -1
    }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.99)
    for epochs in [0, 1] {
      pruning.epochs = epochs
      let (result, report) = try pruning.run(Network(network.graph))
      #expect(report.outputs[0].explained ?? 0 > 0.9999, "\(report.outputs)")
      #expect(result.macs < Network(network.graph).macs)
    }
  }

  /// Training that throws a network out of its minimum gives back what it began with.
  @Test func trainingNeverReturnsWhatIsWorse() throws {
    let (source, folder) = try Self.data()
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.goal = .macs(0.75)
    pruning.rounds = 1
    pruning.epochs = 0
    let network = Network(Self.graph("one number"))
    let cut = try pruning.run(network).report
    pruning.epochs = 3
    pruning.learningRate = 0.1
    pruning.optimizer = .sgd
    let trained = try pruning.run(network).report
    #expect(trained.outputs[0].agreement >= cut.outputs[0].agreement - 1e-6)
  }

  /// A classifier with normalizations that steps which are far too long ruin.
  @Test func stepsThatAreTooLongRuinNothing() throws {
    let (source, folder) = try Self.data(192)
    defer { try? FileManager.default.removeItem(at: folder) }
    var network = SmallNetwork(seed: 6)
    let a = network.normalization(
      network.conv(network.input([3, 4, 4]), [12, 3, 3, 3], "a"), 12, "a.bn")
    let b = network.conv(network.apply(Relu(), a, name: "a.relu"), [12, 12, 3, 3], "b")
    let pooled = network.apply(
      GlobalAveragePool(), network.apply(Relu(), b, name: "b.relu"), name: "p")
    let weight = network.graph.addConstant("w", network.tensor([4, 12]))
    let flat = network.apply(Flatten(), pooled, name: "f")
    network.output(network.apply(Gemm(), flat, weight, name: "y"), [4])
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.outputs = ["y": try OutputChoice("logits")]
    pruning.goal = .macs(0.8)
    pruning.rounds = 1
    pruning.learningRate = 1
    pruning.optimizer = .sgd
    let agreements = try [0, 2].map { epochs in
      pruning.epochs = epochs
      return try pruning.run(Network(network.graph)).report.outputs[0].agreement
    }
    #expect(agreements[1] >= agreements[0], "\(agreements)")
  }

  @Test func numbersThatAreNoneAreRefused() throws {
    let (source, folder) = try Self.data(in: .infinity)
    defer { try? FileManager.default.removeItem(at: folder) }
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.epochs = 0
    #expect(throws: (any Error).self) { try pruning.run(Network(Self.graph("numbers"))) }
  }
}
