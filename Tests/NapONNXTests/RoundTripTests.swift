import Foundation
import NapGraph
import NapONNX
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct RoundTripTests {
  private let reader = ONNXReader(registry: .all)

  private func withFolder<R>(_ body: (URL) throws -> R) throws -> R {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  private func written(_ graph: Graph, externalAbove threshold: Int? = nil) throws -> Graph {
    try withFolder { folder in
      let path = folder.appending(path: "model.onnx").path
      var writer = ONNXWriter()
      if let threshold { writer.externalDataThreshold = threshold }
      try writer.write(graph, to: path)
      return try reader.read(path)
    }
  }

  @Test(arguments: SmallNetwork.all.map(\.name))
  func whatIsWrittenIsReadBack(_ name: String) throws {
    var network = try #require(SmallNetwork.all.first { $0.name == name }).network
    var graph = network.graph
    graph.metadata = [("origin", "a test")]
    let back = try written(graph)
    let x = network.tensor([3, 2, 4, 4])
    #expect(back.evaluate([x]) == graph.evaluate([x]))
    #expect(back.metadata.map(\.key) == ["origin"] && back.metadata.map(\.value) == ["a test"])
    #expect(back.nodes.map(\.name) == graph.nodes.map(\.name))
    #expect(
      back.inputs.map { back.name(of: $0.value) } == graph.inputs.map { graph.name(of: $0.value) })
    #expect(back.inputs.map(\.declared) == graph.inputs.map(\.declared))
    #expect(back.outputs.map(\.declared) == graph.outputs.map(\.declared))
  }

  @Test func largeWeightsGoToAFileOfTheirOwn() throws {
    var network = SmallNetwork()
    let x = network.input([20, 4, 4])
    network.output(network.conv(x, [20, 20, 3, 3], "a"), [20, 4, 4])
    let image = network.tensor([1, 20, 4, 4])
    let back = try written(network.graph, externalAbove: 1000)
    #expect(back.evaluate([image]) == network.graph.evaluate([image]))
  }

  /// Whatever stands there: the name of a file is all that a network may say of others.
  @Test func weightsOutsideOfTheFolderAreNotRead() throws {
    var network = SmallNetwork()
    let x = network.input([20, 4, 4])
    network.output(network.conv(x, [20, 20, 3, 3], "a"), [20, 4, 4])
    try withFolder { folder in
      let inside = folder.appending(path: "inside")
      let manager = FileManager.default
      try manager.createDirectory(at: inside, withIntermediateDirectories: false)
      let path = inside.appending(path: "model.onnx").path
      var writer = ONNXWriter()
      writer.externalDataThreshold = 1000
      try writer.write(network.graph, to: path)
      let files = try manager.contentsOfDirectory(atPath: inside.path).filter { $0 != "model.onnx" }
      let weights = inside.appending(path: try #require(files.first))
      _ = try reader.read(path)
      let outside = folder.appending(path: "outside")
      try manager.moveItem(at: weights, to: outside)
      try manager.createSymbolicLink(at: weights, withDestinationURL: outside)
      let error = #expect(throws: ONNXError.self) { try reader.read(path) }
      #expect(error?.problem.contains("leaves the folder of the model") == true)
    }
  }

  @Test(arguments: [Float(0), 1])
  func equalNumbersAreNoReasonToShareAParameter(_ last: Float) throws {
    var network = SmallNetwork()
    var x = network.input([4])
    let weight = network.graph.addConstant("w", network.tensor([4, 4]))
    let bias = network.graph.addConstant("b", Tensor(shape: [4], floats: [0, 0, 0, last]))
    for layer in ["first", "second", "third"] {
      x = network.apply(Gemm(), x, weight, bias, name: layer)
    }
    network.output(x, [4])
    let image = network.tensor([2, 4])
    let read = try written(network.graph)
    #expect(Set(read.nodes.map { $0.inputs[1] }).count == 1)
    #expect(Set(read.nodes.map { $0.inputs[2] }).count == (last == 0 ? 3 : 1))
    #expect(read.evaluate([image]) == network.graph.evaluate([image]))
    #expect(try written(read).constants.count == read.constants.count)
  }

  @Test(arguments: SmallNetwork.all.map(\.name))
  func sparseFilesHoldTheSameNetwork(_ name: String) throws {
    var graph = try #require(SmallNetwork.all.first { $0.name == name }).network.graph
    for value in graph.constants.keys.sorted() {
      guard let count = graph.constants[value]?.count, count > 4 else { continue }
      for i in 0..<count where i % 5 != 0 { graph.constants[value]?.floats[i] = 0 }
    }
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var writer = ONNXWriter()
    let plain = try #require(writer.bytes(of: graph))
    writer.writesSparse = true
    let path = folder.appending(path: "sparse.onnx").path
    try writer.write(graph, to: path)
    let sparse = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(sparse != plain)
    let read = try ONNXReader(registry: .all).read(path)
    let constants = Dictionary(
      uniqueKeysWithValues: read.constants.map { (read.name(of: $0.key), $0.value) })
    for (value, tensor) in graph.constants { #expect(constants[graph.name(of: value)] == tensor) }
    // What is said of places is checked like everything else.
    for length in stride(from: 0, to: sparse.count - 1, by: 7) {
      try sparse.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect(throws: ONNXError.self) { try ONNXReader(registry: .all).read(path) }
    }
  }

  /// Whatever they are declared as.
  @Test(arguments: [1, 7]) func constantsOfWholeNumbersAreNoOutputs(_ elementType: Int32) throws {
    var file = try ModelFile(SmallNetwork.residual.graph)
    file.proto.graph.initializer.append(ONNXTensorProto(Tensor([1, 2]), name: "k"))
    var port = file.proto.graph.output[0]
    port.name = "k"
    port.type.tensorType.elemType = elementType
    file.proto.graph.output.append(port)
    #expect(throws: ONNXError.self) { try file.read() }
  }

  /// Floats are not written as whole numbers because the file says that they are.
  @Test func outputsAreOfTheTypeThatIsDeclared() throws {
    var file = try ModelFile(SmallNetwork.residual.graph)
    file.proto.graph.output[0].type.tensorType.elemType = 7
    let error = #expect(throws: ONNXError.self) { try file.read() }
    #expect(error?.problem.contains("element type of output") ?? false)
  }

  /// A network in half precision, with inputs and outputs in single precision.
  @Test func castsOfFloatsDoNothing() throws {
    let half = ["to": NapGraph.Attribute.int(10)]
    let graph = try ModelFile(nodes: [
      ONNXNodeProto("Cast", ["x"], ["h"], half), ONNXNodeProto("Relu", ["h"], ["r"]),
      ONNXNodeProto("Cast", ["r"], ["y"], ["to": .int(1)]),
    ]).read()
    #expect(graph.nodes.map(\.name) == ["r", "y"])
    let x = Tensor(shape: [1, 2, 4, 4], floats: (0..<32).map { Float($0) - 16 })
    #expect(graph.evaluate([x]) == Relu().forward([x]))
  }

  @Test func everyTruncatedFileIsRefused() throws {
    try withFolder { folder in
      let path = folder.appending(path: "model.onnx")
      try ONNXWriter().write(SmallNetwork.depthwise.graph, to: path.path)
      let whole = try Data(contentsOf: path)
      for length in 0..<whole.count {
        try whole.prefix(length).write(to: path)
        #expect(throws: ONNXError.self, "\(length) bytes") { try reader.read(path.path) }
      }
    }
  }

  /// Whatever a file holds, reading it ends with a network or with an error.
  @Test func damagedFilesNeverTrap() throws {
    try withFolder { folder in
      let path = folder.appending(path: "model.onnx")
      try ONNXWriter().write(SmallNetwork.squeezeExcite.graph, to: path.path)
      let whole = try Data(contentsOf: path)
      var random = Seed(5).generator()
      for _ in 0..<3000 {
        var damaged = whole
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(
            in: 0...255, using: &random)
        }
        try damaged.write(to: path)
        _ = try? reader.read(path.path)
      }
    }
  }

  @Test func placesThatCannotBeWrittenAreNamed() {
    #expect(
      throws: ONNXError.file(
        .unwritable(path: "/nowhere/x.onnx", reason: "the folder does not exist"))
    ) {
      try ONNXWriter().write(SmallNetwork.residual.graph, to: "/nowhere/x.onnx")
    }
  }

  @Test func missingFilesAreNamed() {
    #expect(throws: ONNXError.missingFile("/nowhere.onnx")) { try reader.read("/nowhere.onnx") }
    #expect(ONNXError.missingFile("/nowhere.onnx").problem == "there is no file '/nowhere.onnx'")
  }
}
