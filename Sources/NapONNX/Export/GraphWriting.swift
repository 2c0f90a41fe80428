import Foundation
package import NapGraph
package import NapTensor

/// Turns a graph into its wire form, with a name of its own for every value.
struct GraphWriting {
  private let graph: Graph
  private let opset: Int
  private var names: [ValueID: String] = [:]
  private var taken: Set<String> = []

  init(_ graph: Graph, opset: Int) {
    self.graph = graph
    self.opset = opset
    // Whoever runs the file knows the inputs and outputs by name: they choose first.
    for port in graph.inputs + graph.outputs { assignName(port.value) }
    for node in graph.nodes { (node.inputs + node.outputs).forEach { assignName($0) } }
  }

  private mutating func assignName(_ value: ValueID) {
    if names[value] == nil { names[value] = unique(graph.name(of: value)) }
  }

  private mutating func unique(_ stem: String) -> String {
    var name = stem
    var suffix = 1
    while name.isEmpty || !taken.insert(name).inserted {
      name = "\(stem)_\(suffix)"
      suffix += 1
    }
    return name
  }

  private func name(_ value: ValueID) -> String { names[value] ?? graph.name(of: value) }

  /// The graph without initializers, and the initializers.
  ///
  /// - Parameter branches: what is to be left out where no example needs it.
  mutating func protos(_ branches: [FileBranch]) -> (
    graph: ONNXGraphProto, constants: [(name: String, tensor: Tensor)]
  ) {
    var proto = ONNXGraphProto()
    proto.name = graph.name.isEmpty ? "nap" : graph.name
    proto.input = graph.inputs.map { valueInfo($0, $0.elementType) }
    let types = graph.elementTypes
    proto.output = graph.outputs.map { valueInfo($0, types[$0.value] ?? .float32) }
    var constants = graph.constants.sorted { $0.key < $1.key }
      .compactMap { value, tensor in names[value].map { (name: $0, tensor: tensor) } }
    for node in graph.nodes {
      let exported = node.op.exported().written(inOpset: opset)
      let positions = exported.inputPositions ?? Array(node.inputs.indices)
      var inputs: [Int: String] = [:]
      for (position, value) in zip(positions, node.inputs) { inputs[position] = name(value) }
      for (position, tensor) in exported.constants.sorted(by: { $0.key < $1.key }) {
        let name = unique("\(node.name)_input_\(position)")
        inputs[position] = name
        constants.append((name, tensor))
      }
      var nodeProto = ONNXNodeProto()
      nodeProto.name = node.name
      nodeProto.opType = exported.operatorType
      nodeProto.input = (0..<(inputs.keys.max().map { $0 + 1 } ?? 0)).map { inputs[$0] ?? "" }
      nodeProto.output = node.outputs.map(name)
      nodeProto.attribute = exported.attributes.sorted { $0.key < $1.key }
        .map { ONNXAttributeProto($0.value, name: $0.key) }
      proto.node.append(nodeProto)
    }
    proto.nest(branches, decisions: branches.map { name($0.decision) })
    return (proto, constants)
  }

  private func valueInfo(_ port: Graph.Port, _ element: ElementType) -> ONNXValueInfoProto {
    var proto = ONNXValueInfoProto()
    proto.name = name(port.value)
    var type = ONNXTypeProto.Tensor()
    type.elemType = Int32(element.wireType.rawValue)
    type.shape.dim = port.declared.map {
      var dimension = ONNXTensorShapeProto.Dimension()
      switch $0 {
      case .fixed(let size): dimension.dimValue = Int64(size)
      case .dynamic(let name): if !name.isEmpty { dimension.dimParam = name }
      }
      return dimension
    }
    proto.type.tensorType = type
    return proto
  }
}

extension ExportedOperator {
  /// Operators are described as of opset 17; what has changed since is changed here.
  fileprivate func written(inOpset opset: Int) -> ExportedOperator {
    var result = self
    if opset >= 18, operatorType.hasPrefix("Reduce"), case .ints(let axes)? = attributes["axes"] {
      result.attributes["axes"] = nil
      result.constants[1] = Tensor(axes)
    }
    return result
  }
}

extension ONNXAttributeProto {
  package init(_ attribute: Attribute, name: String) {
    self.init()
    self.name = name
    switch attribute {
    case .int(let value): (i, type) = (Int64(value), .int)
    case .float(let value): (f, type) = (value, .float)
    case .string(let value): (s, type) = (Data(value.utf8), .string)
    case .tensor(let value): (t, type) = (ONNXTensorProto(value, name: name), .tensor)
    case .ints(let values): (ints, type) = (values.map(Int64.init), .ints)
    case .floats(let values): (floats, type) = (values, .floats)
    case .strings(let values): (strings, type) = (values.map { Data($0.utf8) }, .strings)
    }
  }
}

extension ONNXTensorProto {
  package init(_ tensor: Tensor, name: String) {
    self.init()
    self.name = name
    dims = tensor.shape.map(Int64.init)
    dataType = Int32(tensor.elementType.wireType.rawValue)
    rawData =
      switch tensor.elementType {
      case .float32: tensor.floats.withUnsafeBytes { Data($0) }
      case .int64: tensor.integers.withUnsafeBytes { Data($0) }
      case .int32:
        tensor.integers.map { Int32(truncatingIfNeeded: $0) }.withUnsafeBytes { Data($0) }
      case .bool: Data(tensor.integers.map { $0 == 0 ? 0 : 1 })
      }
  }
}

extension ONNXNodeProto {
  /// A constant that is written as what is not zero; `nil` where that would not be smaller.
  ///
  /// ONNX's shape inference takes sparse initializers for values of another type, which no operator
  /// reads; the outputs of such nodes are tensors as all others.
  init?(sparse tensor: Tensor, name: String) {
    guard let sparse = ONNXSparseTensorProto(tensor, name: name) else { return nil }
    self.init()
    opType = "Constant"
    output = [name]
    var value = ONNXAttributeProto()
    value.name = "sparse_value"
    value.type = .sparseTensor
    value.sparseTensor = sparse
    attribute = [value]
  }
}

extension ONNXSparseTensorProto {
  /// What is not zero and where; `nil` where that would not be smaller.
  init?(_ tensor: Tensor, name: String) {
    guard tensor.isFloat, !tensor.shape.isEmpty else { return nil }
    let places = tensor.floats.indices.filter { tensor.floats[$0] != 0 }
    // A place takes 8 bytes, a number 4; some runtimes want at least one.
    guard 3 * places.count < tensor.count, !places.isEmpty else { return nil }
    self.init()
    dims = tensor.shape.map(Int64.init)
    values = ONNXTensorProto(
      Tensor(shape: [places.count], floats: places.map { tensor.floats[$0] }), name: name)
    indices = ONNXTensorProto(Tensor(places), name: "\(name)_indices")
  }
}

extension ElementType {
  /// Bytes of one element in a file.
  var byteWidth: Int {
    switch self {
    case .float32, .int32: 4
    case .int64: 8
    case .bool: 1
    }
  }

  fileprivate var wireType: ONNXTensorProto.DataType {
    switch self {
    case .float32: .float
    case .int64: .int64
    case .int32: .int32
    case .bool: .bool
    }
  }
}
