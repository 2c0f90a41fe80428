package import Foundation
import NapDynamic
import NapGraph
import NapKit
import NapONNX
import NapOperators
import NapOutputs
package import NapTensor
import NapTestSupport
import SwiftProtobuf

/// Files as a broken exporter, a bad disk or somebody hostile might write them: real ones with some
/// fields changed.
package struct NoisyModels {
  private var random: SplitMix64

  package init(seed: Seed) { random = seed.generator() }

  /// Sizes are either small, or larger than any memory: what lies between only takes time.
  private static let sizes: [Int64] = [
    0, 1, 2, 3, 4, 5, 7, 13, 300, -1, -2, 1 << 38, 1 << 40, 1 << 62, .max, .min,
  ]

  static let bases: [Graph] =
    (SmallNetwork.all + SmallNetwork.reshaping).map(\.network.graph)
    + [SmallNetwork.anySize.graph, cascade]

  /// Has a branch in its file.
  private static let cascade: Graph = {
    let graph = SmallNetwork.concatenating.graph
    return (try? graph.askingWhereInDoubt(
      SmallNetwork.residual.graph, distribution: .softmax, axis: 0, threshold: 0.5)) ?? graph
  }()

  /// The file of a network.
  static func bytes(of graph: Graph) -> Data? {
    var writer = ONNXWriter()
    writer.branches = graph.fileBranches
    return writer.bytes(of: graph)
  }

  private mutating func number(_ range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &random)
  }

  private mutating func chance(_ one: Int) -> Bool { number(1...one) == 1 }

  private mutating func any<Element>(_ list: [Element]) -> Element? {
    list.randomElement(using: &random)
  }

  private mutating func size() -> Int64 { any(Self.sizes) ?? 0 }

  private mutating func sizes(_ count: ClosedRange<Int>) -> [Int64] {
    (0..<number(count)).map { _ in size() }
  }

  /// The bytes of a file, most of which can be decoded.
  package mutating func file() throws -> Data {
    let graph =
      chance(3)
      ? RandomNetwork(seed: Seed(UInt64(number(0...1_000_000)))).graph : any(Self.bases) ?? Graph()
    var data = try changed(Self.bytes(of: graph) ?? Data())
    if chance(12) { for _ in 0..<number(1...6) { flip(&data) } }
    return data
  }

  /// The bytes of a file with some of its fields changed.
  ///
  /// - Throws: when they cannot be decoded.
  package mutating func changed(_ bytes: Data) throws -> Data {
    var model = try ONNXModelProto(serializedBytes: bytes)
    for _ in 0..<number(1...3) { change(&model) }
    return try model.serializedData()
  }

  private mutating func flip(_ data: inout Data) {
    guard !data.isEmpty else { return }
    switch number(1...3) {
    case 1: data[number(0...data.count - 1)] = UInt8(number(0...255))
    case 2: data.remove(at: number(0...data.count - 1))
    default: data = data.prefix(number(0...data.count))
    }
  }

  private mutating func change(_ model: inout ONNXModelProto) {
    let changes: [(inout NoisyModels, inout ONNXModelProto) -> Void] = [
      { $0.changeTensor(&$1.graph) }, { $0.changeTensor(&$1.graph) },
      { $0.changePort(&$1.graph.input) }, { $0.changePort(&$1.graph.output) },
      { $0.changeOutputs(&$1.graph) }, { $0.changeOutputs(&$1.graph) },
      { $0.rewire(&$1.graph) }, { $0.rewire(&$1.graph) },
      { $0.changeAttribute(&$1.graph) }, { $0.changeAttribute(&$1.graph) },
      { $0.changeType(&$1.graph) },
      { $0.insert(&$1.graph) }, { $0.insert(&$1.graph) }, { $0.insert(&$1.graph) },
      { $0.changeModel(&$1) },
    ]
    any(changes)?(&self, &model)
  }

  private mutating func changeModel(_ model: inout ONNXModelProto) {
    switch number(1...3) {
    case 1 where !model.opsetImport.isEmpty: model.opsetImport[0].version = Int64(number(1...25))
    case 2: model.graph.node.shuffle(using: &random)
    default: model.graph.input += model.graph.input.suffix(1)
    }
  }

  /// Another shape, with the data that it needs or without; another type; other numbers.
  private mutating func changeTensor(_ graph: inout ONNXGraphProto) {
    guard let index = graph.initializer.indices.randomElement(using: &random) else { return }
    var tensor = graph.initializer[index]
    switch number(1...7) {
    case 1: tensor.dataType = Int32(number(0...17))
    case 2: tensor.dims = sizes(0...4)
    case 3 where !tensor.dims.isEmpty: tensor.dims[number(0...tensor.dims.count - 1)] = size()
    case 4: tensor = weights((0..<number(0...4)).map { _ in number(0...5) }, tensor.name)
    case 5:
      tensor = ONNXTensorProto(
        Tensor((0..<number(0...5)).map { _ in Int(size()) }), name: tensor.name)
    case 6: sparsify(tensor, &graph, index)
    default: tensor.name = any(names(graph)) ?? ""
    }
    if graph.initializer.indices.contains(index) { graph.initializer[index] = tensor }
  }

  private mutating func weights(_ shape: [Int], _ name: String) -> ONNXTensorProto {
    let floats = (0..<shape.product).map { _ in random.uniform() - 0.5 }
    return ONNXTensorProto(Tensor(shape: shape, floats: floats), name: name)
  }

  private mutating func sparsify(
    _ tensor: ONNXTensorProto, _ graph: inout ONNXGraphProto, _ index: Int
  ) {
    graph.initializer.remove(at: index)
    var sparse = ONNXSparseTensorProto()
    sparse.dims = chance(2) ? tensor.dims : sizes(0...4)
    sparse.values = weights([number(0...3)], tensor.name)
    sparse.indices = ONNXTensorProto(Tensor((0..<number(0...3)).map { _ in Int(size()) }), name: "")
    graph.sparseInitializer.append(sparse)
  }

  private mutating func changePort(_ ports: inout [ONNXValueInfoProto]) {
    guard let index = ports.indices.randomElement(using: &random) else { return }
    switch number(1...5) {
    case 1: ports[index].type.tensorType.elemType = Int32(number(0...17))
    case 2: ports[index].type.tensorType.clearShape()
    case 3: ports[index].type.tensorType.shape.dim = sizes(0...5).map(Self.dimension)
    case 4: ports[index].clearType()
    default:
      guard !ports[index].type.tensorType.shape.dim.isEmpty else { return }
      let axis = number(0...ports[index].type.tensorType.shape.dim.count - 1)
      ports[index].type.tensorType.shape.dim[axis] = Self.dimension(size())
    }
  }

  private static func dimension(_ size: Int64) -> ONNXTensorShapeProto.Dimension {
    var dimension = ONNXTensorShapeProto.Dimension()
    if size == 13 { dimension.dimParam = "N" } else { dimension.dimValue = size }
    return dimension
  }

  private func names(_ graph: ONNXGraphProto) -> [String] {
    graph.input.map(\.name) + graph.initializer.map(\.name) + graph.node.flatMap(\.output)
  }

  /// Outputs of any value: inputs, weights, what is in the middle, several times, in any order.
  private mutating func changeOutputs(_ graph: inout ONNXGraphProto) {
    var port = graph.output.first ?? ONNXValueInfoProto()
    port.name = any(names(graph)) ?? ""
    if chance(2) { port.type.tensorType.clearShape() }
    if chance(5) { port.type.tensorType.elemType = 7 }
    if chance(4) { graph.output = [] }
    graph.output.insert(port, at: number(0...graph.output.count))
  }

  private mutating func rewire(_ graph: inout ONNXGraphProto) {
    guard let index = graph.node.indices.randomElement(using: &random) else { return }
    let name = any(names(graph)) ?? ""
    let (inputs, outputs) = (graph.node[index].input.indices, graph.node[index].output.indices)
    switch number(1...6) {
    case 1...2: if let i = any(Array(inputs)) { graph.node[index].input[i] = name }
    case 3: if let i = any(Array(inputs)) { graph.node[index].input[i] = "" }
    case 4: if let i = any(Array(inputs)) { graph.node[index].input.remove(at: i) }
    case 5: graph.node[index].input.append(name)
    default: if let i = any(Array(outputs)) { graph.node[index].output[i] = name }
    }
  }

  private mutating func attribute() -> NapGraph.Attribute {
    switch number(1...6) {
    case 1: .int(Int(size()))
    case 2: .ints((0..<number(0...5)).map { _ in Int(size()) })
    case 3: .float(any([.nan, .infinity, -1e30, 0, 1e-30]) ?? 0)
    case 4: .string("?")
    case 5: .floats((0..<number(0...4)).map { _ in any([0, -1, 2, 1e30, .nan]) ?? 0 })
    default: .tensor(Tensor([Int(size())]))
    }
  }

  private mutating func changeAttribute(_ graph: inout ONNXGraphProto) {
    let nodes = graph.node.indices.filter { !graph.node[$0].attribute.isEmpty }
    guard let index = any(nodes) else { return }
    let place = number(0...graph.node[index].attribute.count - 1)
    var changed = graph.node[index].attribute[place]
    switch number(1...5) {
    case 1: graph.node[index].attribute.remove(at: place)
    case 2: graph.node[index].attribute[place] = .init(attribute(), name: changed.name)
    default:
      if !changed.ints.isEmpty { changed.ints[number(0...changed.ints.count - 1)] = size() }
      if changed.hasI { changed.i = size() }
      if changed.hasF { changed.f = any([.nan, -1, 0, 1e30]) ?? 0 }
      graph.node[index].attribute[place] = changed
    }
  }

  private static let operators = OperatorRegistry.all.types.map { $0.name }

  private mutating func changeType(_ graph: inout ONNXGraphProto) {
    guard let index = graph.node.indices.randomElement(using: &random) else { return }
    graph.node[index].opType = any(Self.operators + ONNXReader.foldedOperators) ?? ""
  }

  /// A node more between a value and those who read it.
  private mutating func insert(_ graph: inout ONNXGraphProto) {
    guard let index = graph.node.indices.randomElement(using: &random),
      let source = graph.node[index].output.first
    else { return }
    let (name, count) = ("extra\(graph.node.count)", number(0...4))
    var node = ONNXNodeProto()
    let permutation = Array(0..<count).shuffled(using: &random)
    let axis = number(-3...3)
    let extra = weights((0..<number(0...4)).map { _ in any([1, 2, 3, 4, 6]) ?? 1 }, "\(name).w")
    let sizes = ONNXTensorProto(
      Tensor((0..<count).map { _ in any([0, -1, 1, 2, 3, 4]) ?? 1 }), name: "\(name).s")
    let made: [(String, ONNXTensorProto?, [String: NapGraph.Attribute])] = [
      ("Transpose", nil, ["perm": .ints(permutation)]), ("Transpose", nil, [:]),
      ("Reshape", sizes, [:]), ("Flatten", nil, ["axis": .int(axis)]), ("Squeeze", nil, [:]),
      ("Unsqueeze", sizes, [:]), ("MatMul", extra, [:]), ("Gemm", extra, [:]), ("Add", extra, [:]),
      ("Mul", extra, [:]), ("Concat", extra, ["axis": .int(axis)]), ("Expand", sizes, [:]),
      ("Tile", sizes, [:]), ("Softmax", nil, ["axis": .int(axis)]),
      ("ArgMax", nil, ["axis": .int(axis)]), ("ReduceSum", sizes, [:]), ("Shape", nil, [:]),
      ("Gather", sizes, ["axis": .int(axis)]), ("Where", extra, [:]), ("TopK", sizes, [:]),
      ("Split", nil, ["axis": .int(axis)]), ("Pad", sizes, [:]), ("Conv", extra, [:]),
      ("GlobalAveragePool", nil, [:]), ("LayerNormalization", extra, ["axis": .int(axis)]),
    ]
    guard let (type, constant, attributes) = any(made) else { return }
    node.opType = type
    node.name = name
    node.input = [source] + (constant.map { [$0.name] } ?? [])
    if chance(4) { node.input.reverse() }
    node.output = [name]
    node.attribute = attributes.map { .init($0.value, name: $0.key) }
    if let constant { graph.initializer.append(constant) }
    for other in graph.node.indices where other != index {
      for i in graph.node[other].input.indices where graph.node[other].input[i] == source {
        graph.node[other].input[i] = name
      }
    }
    for output in graph.output.indices where graph.output[output].name == source {
      graph.output[output].name = name
      if chance(2) { graph.output[output].type.tensorType.clearShape() }
    }
    graph.node.insert(node, at: index + 1)
  }
}
