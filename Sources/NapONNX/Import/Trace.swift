import NapGraph
import NapTensor

/// What a model does for inputs of one size: its nodes as operators, and everything that is known
/// before running as constants.
struct Trace {
  struct Node {
    var name: String
    var op: any Operator
    var inputs: [String]
    var outputs: [String]
  }

  private(set) var nodes: [Node] = []
  private(set) var constants: [String: Tensor]
  private(set) var shapes: [String: [Int]] = [:]
  /// What an output of a node that does nothing stands for.
  private var sources: [String: String] = [:]

  private let model: ParsedModel
  private let registry: OperatorRegistry
  private let fixedBatch: FixedBatch?

  /// The batch size a file has written into its reshapes, and what to read instead.
  struct FixedBatch {
    var written: Int
    var probe: Int
  }

  init(
    _ model: ParsedModel, inputShapes: [[Int]], registry: OperatorRegistry,
    fixedBatch: FixedBatch? = nil
  ) throws(ONNXError) {
    self.model = model
    self.registry = registry
    self.fixedBatch = fixedBatch
    constants = model.constants
    for (input, shape) in zip(model.inputs, inputShapes) {
      guard shapes[input.name] == nil else {
        throw .invalid("there are two inputs '\(input.name)'")
      }
      shapes[input.name] = shape
    }
    for node in model.nodes { try add(node) }
    for output in model.outputs where !isDefined(output.name) {
      throw .invalid("output '\(output.name)' is never computed")
    }
    removeDeadNodes()
  }

  private mutating func removeDeadNodes() {
    var needed = Set(model.outputs.map(\.name))
    var kept: [Node] = []
    for node in nodes.reversed() where node.outputs.contains(where: needed.contains) {
      needed.formUnion(node.inputs)
      kept.append(node)
    }
    nodes = kept.reversed()
  }

  private mutating func add(_ node: ParsedModel.Node) throws(ONNXError) {
    for input in node.inputs.compactMap({ $0 }) where !isDefined(input) {
      throw .invalid("node '\(node.name)' (\(node.type)) uses '\(input)' before it is computed")
    }
    for output in node.outputs where isDefined(output) {
      throw .invalid("value '\(output)' is computed more than once")
    }
    let description = description(of: node)
    var isSupported = true
    do {
      if let results = try Folding(registry: registry).outputs(of: description) {
        try check(node, hasOutputs: node.outputs.count <= results.count)
        for (output, tensor) in zip(node.outputs, results) { constants[output] = tensor }
      } else if let type = registry[node.type] {
        try add(node, try type.importing(description), description)
      } else {
        isSupported = false
      }
    } catch {
      throw .node(
        name: node.name, type: node.type, problem: error.problem, recovery: error.recovery)
    }
    guard isSupported else {
      throw .unsupportedOperator(name: node.type, opset: model.opset, node: node.name)
    }
  }

  private mutating func add(
    _ node: ParsedModel.Node, _ imported: ImportedOperator, _ description: NodeDescription
  ) throws(OperatorError) {
    var inputs: [String] = []
    var inputShapes: [[Int]] = []
    for index in imported.inputs {
      guard index < node.inputs.count, let name = node.inputs[index] else {
        throw OperatorError("input \(index) is missing")
      }
      if let constant = description.inputs[index]?.constant, !constant.isFloat {
        throw OperatorError(
          "input \(index) holds \(constant.elementType.rawValue) numbers, not floats")
      }
      inputs.append(sources[name] ?? name)
      inputShapes.append(try description.shape(ofInput: index))
    }
    let results = try imported.op.infer(inputShapes)
    try check(node, hasOutputs: node.outputs.count == results.count)
    for (output, shape) in zip(node.outputs, results) {
      guard let count = elementCount(shape), count > 0 else {
        throw OperatorError("output '\(output)' would have the impossible shape \(describe(shape))")
      }
      shapes[output] = shape
    }
    let isOutput = model.outputs.contains { node.outputs.contains($0.name) }
    if Self.passThrough.contains(node.type), !isOutput, node.outputs.count == 1 {
      sources[node.outputs[0]] = inputs[0]
    } else {
      nodes.append(Node(name: node.name, op: imported.op, inputs: inputs, outputs: node.outputs))
    }
  }

  /// Operators that return their first input when a network is not being trained.
  private static let passThrough: Set<String> = ["Dropout", "Identity"]

  private func check(_ node: ParsedModel.Node, hasOutputs: Bool) throws(OperatorError) {
    guard hasOutputs else {
      throw OperatorError("\(node.outputs.count) outputs are used, which is not supported")
    }
  }

  private func description(of node: ParsedModel.Node) -> NodeDescription {
    var inputs: [NodeDescription.Input?] = node.inputs.map { name in
      name.map { .init(shape: shape(of: $0), constant: constants[$0]) }
    }
    if let fixedBatch, node.type == "Reshape", inputs.count == 2, let data = inputs[0],
      let target = inputs[1]?.constant, data.constant == nil, data.shape.first == fixedBatch.probe,
      !target.isFloat, target.integers.first == Int64(fixedBatch.written)
    {
      let sizes = [fixedBatch.probe] + target.integers.dropFirst().map(Int.init)
      inputs[1]?.constant = Tensor(sizes)
    }
    return NodeDescription(
      name: node.name, operatorType: node.type, opset: model.opset, attributes: node.attributes,
      inputs: inputs, outputCount: node.outputs.count)
  }

  func shape(of name: String) -> [Int] { constants[name]?.shape ?? shapes[name] ?? [] }

  private func isDefined(_ name: String) -> Bool { constants[name] != nil || shapes[name] != nil }
}

extension Trace {
  /// The trace that is this one for one batch size and `other` for another.
  /// - Throws: naming a node that does not say how it depends on the batch size.
  func merged(with other: Trace) throws(ONNXError) -> Trace {
    guard nodes.map(\.name) == other.nodes.map(\.name) else {
      throw .invalid("the nodes depend on the batch size", recovery: Self.fixingTheShape)
    }
    var result = self
    for (n, (a, b)) in zip(nodes, other.nodes).enumerated() {
      let haveSameValues =
        a.inputs == b.inputs && a.inputs.allSatisfy { constants[$0] == other.constants[$0] }
      guard haveSameValues, let op = Self.merged(a.op, b.op) else {
        throw .node(
          name: a.name, type: a.op.name,
          problem: "depends on the batch size in a way that is not supported",
          recovery: Self.fixingTheShape)
      }
      result.nodes[n].op = op
    }
    for output in model.outputs where constants[output.name] != other.constants[output.name] {
      throw .invalid(
        "output '\(output.name)' depends on the batch size only", recovery: Self.fixingTheShape)
    }
    return result
  }

  private static func merged(_ a: any Operator, _ b: any Operator) -> (any Operator)? {
    if a.exported() == b.exported() { return a }
    return (a as? any BatchDependentOperator)?.merged(withAny: b)
  }

  private static let fixingTheShape = "fix the batch size with --input-shape"
}
