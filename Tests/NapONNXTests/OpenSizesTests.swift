import NapGraph
import NapONNX
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Sizes that a file leaves open beyond the batch.
@Suite struct OpenSizesTests {
  /// Ways to leave height and width open.
  static let declarations = [
    ["N", "2", "H", "W"], ["", "2", "", ""], ["-1", "2", "-1", "-1"], ["1", "2", "side", "side"],
  ]

  private func dimensions(_ declaration: [String]) -> [Dimension] {
    declaration.map { text in
      Int(text).flatMap { $0 > 0 ? .fixed($0) : .dynamic("") } ?? .dynamic(text)
    }
  }

  /// Networks that take images of any size are read for one, and written for any.
  @Test(arguments: SmallNetwork.all.map(\.name), declarations)
  func whatIsOpenStaysOpen(_ name: String, _ declaration: [String]) throws {
    var network = try #require(SmallNetwork.all.first { $0.name == name }).network
    var file = try ModelFile(network.graph)
    ModelFile.declare(declaration, &file.proto.graph.input[0])
    let graph = try file.read(["x": [1, 2, 4, 4]])
    #expect(graph.inputs[0].dimensions.dropFirst() == [.fixed(2), .fixed(4), .fixed(4)])
    #expect(graph.inputs[0].dimensions[0].isOpen)
    #expect(graph.inputs[0].declared == dimensions(declaration))
    #expect(graph.outputs[0].declared == [.dynamic("N"), .fixed(3)])
    let sides = declaration[2] == "side" ? [6, 6] : [6, 8]
    let x = network.tensor([3, 2] + sides)
    let again = try ModelFile(graph).read(["x": [1, 2] + sides])
    #expect(again.evaluate([x]) == network.graph.evaluate([x]))
  }

  /// Also sizes that are not open at all, though the file says so.
  @Test func channelsAreNotOpen() throws {
    var file = try ModelFile(SmallNetwork.residual.graph)
    ModelFile.declare(["-1", "-1", "-1", "-1"], &file.proto.graph.input[0])
    let open = try file.read(["x": [1, 2, 4, 4]])
    #expect(open.inputs[0].declared == [.dynamic(""), .fixed(2), .dynamic(""), .dynamic("")])
    file = try ModelFile(SmallNetwork.shuffled.graph)
    ModelFile.declare(["N", "3", "H", "W"], &file.proto.graph.input[0])
    ModelFile.declare(["N", "4", "H", "W"], &file.proto.graph.output[0])
    let fixed = try file.read(["x": [1, 3, 4, 4]])
    #expect(fixed.inputs[0].declared == [.dynamic("N"), .fixed(3), .fixed(4), .fixed(4)])
    #expect(fixed.outputs[0].declared == [.dynamic("N"), .fixed(4), .fixed(4), .fixed(4)])
  }

  /// A body of a network that computes with sizes, and which of them are open when it no longer does.
  struct Body: Sendable, CustomTestStringConvertible {
    var name: String
    var open: Set<String>
    var nodes: [ONNXNodeProto]
    var constants: [String: Tensor] = [:]
    var testDescription: String { name }
  }

  private static let sizes: [ONNXNodeProto] = [
    ONNXNodeProto("Shape", ["x"], ["shape"]),
    ONNXNodeProto("Split", ["shape"], ["n", "c", "h", "w"], ["axis": .int(0)]),
  ]

  /// Adds what comparing a size with a number gives.
  private static func comparing(_ type: String, _ size: String) -> [ONNXNodeProto] {
    sizes + [
      ONNXNodeProto(type, [size, "number"], ["compared"]),
      ONNXNodeProto("Cast", ["compared"], ["floats"], ["to": .int(1)]),
      ONNXNodeProto("Add", ["x", "floats"], ["y"]),
    ]
  }

  static let bodies: [Body] = [
    Body(name: "nothing", open: ["H", "W"], nodes: [ONNXNodeProto("Relu", ["x"], ["y"])]),
    Body(
      name: "pixels in a row, computed", open: ["H", "W"],
      nodes: sizes + [
        ONNXNodeProto("Mul", ["h", "w"], ["hw"]),
        ONNXNodeProto("Concat", ["n", "c", "hw"], ["target"], ["axis": .int(0)]),
        ONNXNodeProto("Reshape", ["x", "target"], ["y"]),
      ]),
    Body(
      name: "pixels in a row and back", open: [],
      nodes: sizes + [
        ONNXNodeProto("Reshape", ["x", "row"], ["r"]),
        ONNXNodeProto("Concat", ["n", "c", "h", "w"], ["target"], ["axis": .int(0)]),
        ONNXNodeProto("Reshape", ["r", "target"], ["y"]),
      ], constants: ["row": Tensor([0, 0, -1])]),
    Body(
      name: "sides swapped", open: [],
      nodes: sizes + [
        ONNXNodeProto("Concat", ["n", "c", "w", "h"], ["target"], ["axis": .int(0)]),
        ONNXNodeProto("Reshape", ["x", "target"], ["y"]),
      ]),
    Body(
      name: "padded to even sides", open: ["W"],
      nodes: sizes + [
        ONNXNodeProto("Mod", ["h", "two"], ["rest"]),
        ONNXNodeProto("Concat", ["zeros", "rest", "zero"], ["pads"], ["axis": .int(0)]),
        ONNXNodeProto("Pad", ["x", "pads"], ["y"]),
      ], constants: ["two": Tensor([2]), "zeros": Tensor([0, 0, 0, 0, 0, 0]), "zero": Tensor([0])]),
    Body(
      name: "the same number for every row", open: ["H", "W"],
      nodes: sizes + [
        ONNXNodeProto("Concat", ["h", "one"], ["column"], ["axis": .int(0)]),
        ONNXNodeProto("ConstantOfShape", ["column"], ["zeros"]),
        ONNXNodeProto("Add", ["x", "zeros"], ["y"]),
      ], constants: ["one": Tensor([1])]),
    Body(
      name: "a number for every row", open: ["W"],
      nodes: sizes + [
        ONNXNodeProto("Squeeze", ["h"], ["count"]),
        ONNXNodeProto("Range", ["zero", "count", "one"], ["range"]),
        ONNXNodeProto("Cast", ["range"], ["numbers"], ["to": .int(1)]),
        ONNXNodeProto("Reshape", ["numbers", "column"], ["rows"]),
        ONNXNodeProto("Add", ["x", "rows"], ["y"]),
      ],
      constants: [
        "zero": Tensor(shape: [], integers: [0]), "one": Tensor(shape: [], integers: [1]),
        "column": Tensor([-1, 1]),
      ]),
    Body(
      name: "the middle row", open: ["W"],
      nodes: sizes + [
        ONNXNodeProto("Div", ["h", "two"], ["middle"]),
        ONNXNodeProto("Gather", ["x", "middle"], ["y"], ["axis": .int(2)]),
      ], constants: ["two": Tensor([2])]),
    Body(
      name: "a size far away", open: ["W"],
      nodes: comparing("Greater", "h"), constants: ["number": Tensor([50])]),
    Body(
      name: "a size nearby", open: ["H"],
      nodes: comparing("Less", "w"), constants: ["number": Tensor([3])]),
    Body(
      name: "halves and doubles", open: ["H", "W"],
      nodes: [
        ONNXNodeProto(
          "MaxPool", ["x"], ["p"], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]),
        ONNXNodeProto("Resize", ["p", "", "scales"], ["r"]),
        ONNXNodeProto("Add", ["x", "r"], ["y"]),
      ], constants: ["scales": Tensor(shape: [4], floats: [1, 1, 2, 2])]),
    Body(
      name: "squares only", open: ["H", "W"], nodes: [ONNXNodeProto("MatMul", ["x", "x"], ["y"])]),
  ]

  /// What is computed from sizes is a constant once a network is read; the file must not say that
  /// it is for any size then.
  @Test(arguments: bodies)
  func sizesAreFixedWhereTheNetworkDependsOnThem(_ body: Body) throws {
    var file = try ModelFile(nodes: body.nodes, constants: body.constants)
    ModelFile.declare(["N", "2", "H", "W"], &file.proto.graph.input[0])
    ModelFile.declare(["N", "2", "A", "B"], &file.proto.graph.output[0])
    let graph = try file.read(["x": [1, 2, 4, 4]])
    let fixed: [Dimension] = [.dynamic("N"), .fixed(2), .fixed(4), .fixed(4)]
    let open = ["H", "W"].map { body.open.contains($0) ? Dimension.dynamic($0) : .fixed(4) }
    #expect(graph.inputs[0].declared == fixed[..<2] + open)
    #expect(graph.inputs[0].dimensions == fixed)
    // Whatever the file says, the network is the one of the file.
    let x = Tensor(shape: [3, 2, 4, 4], floats: (0..<96).map { Float($0 % 7) - 3 })
    let read = try file.read(["x": [3, 2, 4, 4]])
    #expect(graph.evaluate([x]) == read.evaluate([x]))
  }

  @Test func whatNobodyTellsIsAskedFor() throws {
    var file = try ModelFile(SmallNetwork.residual.graph)
    ModelFile.declare(["N", "2", "H", "-1"], &file.proto.graph.input[0])
    #expect {
      try file.read()
    } throws: { error in
      let error = error as? ONNXError
      return error?.problem == "input 'x' has the shape Nx2xHx?, and nothing tells its sizes"
        && error?.recovery == "give them with --input-shape x=1x2x224x224"
    }
    // What is advised works.
    #expect(try file.read(["x": [1, 2, 224, 224]]).inputs[0].dimensions[2] == .fixed(224))
    for shape in [[1, 2, 4], [1, 3, 4, 4], [1, 2, 0, 4]] {
      #expect(throws: ONNXError.self) { try file.read(["x": shape]) }
    }
    ModelFile.declare(["N", "2", "0", "4"], &file.proto.graph.input[0])
    #expect(throws: ONNXError.invalid("input 'x' has a dimension of size 0")) { try file.read() }
  }

  @Test func oneNameIsOneSize() throws {
    var file = try ModelFile(nodes: [ONNXNodeProto("Add", ["x", "z"], ["y"])])
    file.proto.graph.input.append(file.proto.graph.input[0])
    file.proto.graph.input[1].name = "z"
    for n in 0...1 { ModelFile.declare(["N", "2", "H", "W"], &file.proto.graph.input[n]) }
    let graph = try file.read(["z": [1, 2, 6, 8]])
    for input in graph.inputs {
      #expect(input.dimensions == [.dynamic("N"), .fixed(2), .fixed(6), .fixed(8)])
    }
    #expect(graph.inputs[0].declared == [.dynamic("N"), .fixed(2), .dynamic("H"), .dynamic("W")])
    #expect(throws: ONNXError.self) { try file.read(["z": [1, 2, 6, 8], "x": [1, 2, 6, 6]]) }
    #expect(try file.withPath { try ONNXFile($0).openInputs(given: ["z": [1, 2, 6, 8]]) }.isEmpty)
  }

  /// A batch size that is told is fixed only where the network depends on it.
  @Test func theBatchStaysOpenWhereItCan() throws {
    var file = try ModelFile(SmallNetwork.residual.graph)
    let told = try file.read(["x": [1, 2, 4, 4]])
    #expect(told.inputs[0].dimensions[0] == .dynamic("N"))
    // A number for every example.
    file = try ModelFile(
      nodes: Self.sizes + [
        ONNXNodeProto("Squeeze", ["n"], ["count"]),
        ONNXNodeProto("Range", ["zero", "count", "one"], ["range"]),
        ONNXNodeProto("Cast", ["range"], ["numbers"], ["to": .int(1)]),
        ONNXNodeProto("Reshape", ["numbers", "column"], ["column_numbers"]),
        ONNXNodeProto("Add", ["x", "column_numbers"], ["y"]),
      ],
      constants: [
        "zero": Tensor(shape: [], integers: [0]), "one": Tensor(shape: [], integers: [1]),
        "column": Tensor([-1, 1, 1, 1]),
      ])
    #expect {
      try file.read()
    } throws: {
      ($0 as? ONNXError)?.recovery == "fix the batch size with --input-shape x=1x2x4x4"
    }
    let fixed = try file.read(["x": [3, 2, 4, 4]])
    #expect(fixed.inputs[0].dimensions[0] == .fixed(3) && fixed.inputs[0].declared[0] == .fixed(3))
  }

  /// What is the same for two batch sizes may differ for one and for many.
  @Test(arguments: [("Greater", 1), ("Less", 2), ("Min", 2), ("Greater", 10), ("Max", 4), ("Mod", 1)])
  func batchesOfOneAndOfManyAreCompared(_ type: String, _ number: Int) throws {
    let file = try ModelFile(
      nodes: Self.comparing(type, "n"), constants: ["number": Tensor([number])])
    // The rest by one is nothing, whatever is divided.
    if type == "Mod" {
      #expect(try file.read().inputs[0].dimensions[0].isOpen)
    } else {
      #expect {
        try file.read()
      } throws: {
        ($0 as? ONNXError)?.recovery == "fix the batch size with --input-shape x=1x2x4x4"
      }
    }
  }

  /// Names of what nap puts in are not those of the file, whatever the file calls its values.
  @Test(arguments: [
    "k", "zero", "token slice", "token zeros", "token of one example", "token for every example",
    "token for each example",
  ])
  func classTokensAreRepeatedWhateverIsCalledHow(_ name: String) throws {
    let file = try ModelFile(
      nodes: Self.sizes + [
        ONNXNodeProto("Mul", ["x", name], ["tripled"]),
        ONNXNodeProto("Concat", ["n", "ones"], ["target"], ["axis": .int(0)]),
        ONNXNodeProto("Expand", ["row", "target"], ["token"]),
        ONNXNodeProto("Concat", ["token", "tripled"], ["joined"], ["axis": .int(2)]),
        ONNXNodeProto("Mul", ["joined", name], ["y"]),
      ],
      constants: [
        name: Tensor(shape: [], floats: [3]), "ones": Tensor([2, 1, 4]),
        "row": Tensor(shape: [1, 2, 1, 4], floats: (1...8).map(Float.init)),
      ])
    let x = Tensor(shape: [3, 2, 4, 4], floats: (0..<96).map(Float.init))
    let y = try file.read().evaluate([x])[0]
    #expect(y.shape == [3, 2, 5, 4])
    var expected: [Float] = []
    for channel in 0..<6 {
      for column in 1...4 { expected.append(Float(3 * (channel % 2 * 4 + column))) }
      for pixel in 0..<16 { expected.append(Float(9 * (16 * channel + pixel))) }
    }
    #expect(y.floats == expected)
  }
}

extension Dimension {
  fileprivate var isOpen: Bool { if case .dynamic = self { true } else { false } }
}
