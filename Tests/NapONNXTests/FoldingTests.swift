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

  /// A single number in double precision.
  private static func double(_ name: String, _ value: Double) -> ONNXTensorProto {
    var proto = ONNXTensorProto()
    proto.name = name
    proto.dataType = Int32(ONNXTensorProto.DataType.double.rawValue)
    proto.doubleData = [value]
    return proto
  }

  /// What ONNX Runtime makes of doubles; `a` is 0.29, `b` is just below 1, `n` is a hundred.
  private static let precise: [(body: Body, expected: Float)] = [
    (
      Body(
        name: "a size",
        nodes: [
          ONNXNodeProto("Cast", ["n"], ["m"], ["to": .int(11)]),
          ONNXNodeProto("Mul", ["m", "a"], ["p"]), ONNXNodeProto("Floor", ["p"], ["k"]),
        ]), 28
    ),
    (Body(name: "a constant", nodes: [ONNXNodeProto("Floor", ["b"], ["k"])]), 0),
    (
      Body(
        name: "comparison",
        nodes: [
          ONNXNodeProto("Neg", ["b"], ["c"]), ONNXNodeProto("Abs", ["c"], ["d"]),
          ONNXNodeProto("Ceil", ["b"], ["e"]), ONNXNodeProto("Equal", ["d", "e"], ["k"]),
        ]), 0
    ),
    (
      Body(
        name: "movement",
        nodes: [
          ONNXNodeProto("Unsqueeze", ["b", "zero"], ["c"]),
          ONNXNodeProto("Concat", ["c", "c"], ["d"], ["axis": .int(0)]),
          ONNXNodeProto("Gather", ["d", "one"], ["e"]), ONNXNodeProto("Floor", ["e"], ["k"]),
        ]), 0
    ),
    (
      Body(
        name: "sums",
        nodes: [
          ONNXNodeProto("Max", ["a", "b"], ["c"]), ONNXNodeProto("Unsqueeze", ["c", "zero"], ["d"]),
          ONNXNodeProto("ReduceSum", ["d"], ["e"], ["keepdims": .int(0)]),
          ONNXNodeProto("Cast", ["e"], ["k"], ["to": .int(7)]),
        ]), 0
    ),
    // As the file says, too.
    (
      Body(
        name: "single precision",
        nodes: [
          ONNXNodeProto("Cast", ["b"], ["c"], ["to": .int(1)]),
          ONNXNodeProto("Cast", ["c"], ["d"], ["to": .int(11)]),
          ONNXNodeProto("Floor", ["d"], ["k"]),
        ]), 1
    ),
  ]

  @Test(arguments: precise.map(\.body.name)) func doublesAreFoldedAsDoubles(_ name: String) throws {
    let (body, expected) = try #require(Self.precise.first { $0.body.name == name })
    var whole = body
    whole.nodes.append(ONNXNodeProto("Cast", ["k"], ["z"], ["to": .int(1)]))
    whole.constants = [
      "n": Tensor(shape: [], integers: [100]), "zero": Tensor([0]),
      "one": Tensor(shape: [], integers: [1]),
    ]
    var file = try Self.model(whole)
    file.proto.graph.initializer += [Self.double("a", 0.29), Self.double("b", 1 - 1e-12)]
    let graph = try file.read()
    #expect(graph.constants.values.map(\.floats) == [[expected]])
    #expect(graph.constants.values.allSatisfy { $0.doubles == nil })
  }

  /// The sign is that of the divisor, or with `fmod` that of what is divided.
  @Test(arguments: [
    (-7, 3, 0, 2), (-7, 3, 1, -1), (7, -3, 0, -2), (7, -3, 1, 1), (-6, 3, 0, 0), (-7, -3, 1, -1),
  ] as [(Int, Int, Int, Float)])
  func remaindersHaveASign(_ a: Int, _ b: Int, _ fmod: Int, _ expected: Float) throws {
    let body = Body(
      name: "remainder",
      nodes: [
        ONNXNodeProto("Mod", ["a", "b"], ["r"], ["fmod": .int(fmod)]),
        ONNXNodeProto("Cast", ["r"], ["z"], ["to": .int(1)]),
      ],
      constants: [
        "a": Tensor(shape: [], integers: [Int64(a)]), "b": Tensor(shape: [], integers: [Int64(b)]),
      ])
    #expect(try Self.model(body).read().constants.values.map(\.floats) == [[expected]])
  }

  /// Runtimes wrap such numbers, and a wrapped size is none.
  @Test(arguments: [
    ("Mul", .int32, 1 << 30, 4, false), ("Add", .int32, Int64(Int32.max), 1, false),
    ("Sub", .int32, -1, Int64(Int32.max), true), ("Mul", .int64, 1 << 62, 4, false),
    ("Add", .int64, .max, 1, false), ("Add", .int64, .max, 0, true),
    ("Mul", .int64, 1 << 32, 4, true),
  ] as [(String, ElementType, Int64, Int64, Bool)])
  func numbersBeyondTheirTypeAreRefused(
    _ type: String, _ element: ElementType, _ a: Int64, _ b: Int64, _ fits: Bool
  ) throws {
    let body = Body(
      name: "range",
      nodes: [
        ONNXNodeProto(type, ["a", "b"], ["r"]),
        ONNXNodeProto("Cast", ["r"], ["z"], ["to": .int(1)]),
      ],
      constants: [
        "a": Tensor(shape: [], integers: [a], elementType: element),
        "b": Tensor(shape: [], integers: [b], elementType: element),
      ])
    let file = try Self.model(body)
    guard !fits else {
      _ = try file.read()
      return
    }
    let error = #expect(throws: ONNXError.self) { try file.read() }
    #expect(error?.problem.contains("node 'r'") ?? false, "\(error?.problem ?? "")")
    #expect(error?.problem.contains("beyond the range") ?? false)
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
