import NapGraph
import NapONNX
import NapTensor
import NapTestSupport
import SwiftProtobuf
import Testing

/// What a small file asks to be computed while it is read has a limit, however it asks.
@Suite struct FoldingTests {
  private struct Body: Sendable {
    var name: String
    var nodes: [ONNXNodeProto]
    var constants: [String: Tensor] = [:]
  }

  private static func zeros(_ name: String, _ shape: String) -> ONNXNodeProto {
    ONNXNodeProto("ConstantOfShape", [shape], [name])
  }

  /// Each in front of `y = x + z`, `z` a single number; refused before the work is done.
  private static let endless: [Body] = [
    Body(
      name: "a product of large matrices",
      nodes: [
        zeros("a", "square"), ONNXNodeProto("MatMul", ["a", "a"], ["p"]),
        ONNXNodeProto("ReduceSum", ["p"], ["z"], ["keepdims": .int(0)]),
      ], constants: ["square": Tensor([1024, 1024])]),
    Body(
      name: "large windows",
      nodes: [
        zeros("a", "image"),
        ONNXNodeProto("MaxPool", ["a"], ["p"], ["kernel_shape": .ints([400, 400])]),
        ONNXNodeProto("ReduceSum", ["p"], ["z"], ["keepdims": .int(0)]),
      ], constants: ["image": Tensor([1, 1, 800, 800])]),
    Body(
      name: "many rows and columns",
      nodes: [
        zeros("a", "row"), zeros("b", "column"),
        ONNXNodeProto("Max", (0..<300).map { $0 % 2 == 0 ? "a" : "b" }, ["m"]),
        ONNXNodeProto("ReduceSum", ["m"], ["z"], ["keepdims": .int(0)]),
      ], constants: ["row": Tensor([1, 1024]), "column": Tensor([1024, 1])]),
  ]

  private static func model(_ body: Body) throws -> ModelFile {
    try ModelFile(
      nodes: body.nodes + [ONNXNodeProto("Add", ["x", "z"], ["y"])], constants: body.constants)
  }

  @Test(arguments: endless.map(\.name)) func whatTakesForeverIsRefused(_ name: String) throws {
    let body = try #require(Self.endless.first { $0.name == name })
    let error = #expect(throws: ONNXError.self) { try Self.model(body).read() }
    #expect(error?.problem.contains("steps") ?? false, "\(error?.problem ?? "")")
    #expect(error?.recovery?.contains("onnxsim") ?? false)
  }

  /// The same, small: it is constants that are read.
  @Test func whatIsSmallIsComputed() throws {
    for body in Self.endless {
      var small = body
      for (name, shape) in [("square", [8, 8]), ("row", [1, 8]), ("column", [8, 1])]
      where small.constants[name] != nil { small.constants[name] = Tensor(shape) }
      if small.constants["image"] != nil { small.constants["image"] = Tensor([1, 1, 400, 401]) }
      let graph = try Self.model(small).read()
      #expect(graph.nodes.map(\.name) == ["y"], "\(body.name)")
    }
  }

  /// Axes of size 1 cost nothing, and as many of them as there are found elements are not made.
  @Test func manyAxesAreFew() throws {
    let shape = Tensor([1 << 18] + [Int](repeating: 1, count: 2000))
    let sum = Body(
      name: "sum",
      nodes: [
        Self.zeros("a", "shape"), ONNXNodeProto("ReduceSum", ["a"], ["z"], ["keepdims": .int(0)]),
      ], constants: ["shape": shape])
    #expect(try Self.model(sum).read().nodes.count == 1)
    let places = Body(
      name: "places",
      nodes: [
        ONNXNodeProto("NonZero", ["b"], ["places"]), ONNXNodeProto("Size", ["places"], ["count"]),
        ONNXNodeProto("Cast", ["count"], ["z"], ["to": .int(1)]),
      ],
      constants: [
        "b": Tensor(shape: shape.integers.map { Int($0) }, repeating: 1)
      ])
    let error = #expect(throws: ONNXError.self) { try Self.model(places).read() }
    #expect(error?.problem.contains("impossible shape") ?? false, "\(error?.problem ?? "")")
  }

  /// As NumPy's `triu` and `tril` have it, of integers and beyond the matrix too.
  @Test(arguments: [
    (1, 0, [1, 2, 3, 4, 0, 6, 7, 8, 0, 0, 11, 12, 0, 0, 0, 16]),
    (0, -1, [0, 0, 0, 0, 5, 0, 0, 0, 9, 10, 0, 0, 13, 14, 15, 0]),
    (1, 1 << 60, [Float](repeating: 0, count: 16)),
    (0, 1 << 60, (1...16).map { Float($0) }),
  ] as [(Int, Int, [Float])])
  func trianglesAreTaken(_ upper: Int, _ diagonal: Int, _ expected: [Float]) throws {
    let numbers = Tensor(shape: [4, 4], integers: (1...16).map { $0 })
    let body = Body(
      name: "triangle",
      nodes: [
        ONNXNodeProto("Trilu", ["m", "k"], ["t"], ["upper": .int(upper)]),
        ONNXNodeProto("Cast", ["t"], ["z"], ["to": .int(1)]),
      ], constants: ["m": numbers, "k": Tensor(shape: [], integers: [Int64(diagonal)])])
    let graph = try Self.model(body).read()
    #expect(graph.constants.values.map(\.floats) == [expected])
  }
}
