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
  /// What holds whole numbers, or truth: inputs, and what nodes compute.
  private var integers: Set<String>
  /// What an output of a node that does nothing stands for.
  private var sources: [String: String] = [:]
  /// What is not in the file, under names that the file has not given to anything.
  private var ownNames: Set<String> = []
  /// One example of constants that are repeated for all of them.
  private var singles: [String: String] = [:]

  private let model: ParsedModel
  private let registry: OperatorRegistry
  let fixedBatch: FixedBatch?

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
    integers = Set(model.inputs.filter(\.isInteger).map(\.name))
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
    let node = repeatingConstants(of: node)
    for input in node.inputs.compactMap({ $0 }) where !isDefined(input) {
      throw .invalid("node '\(node.name)' (\(node.type)) uses '\(input)', which nothing computes")
    }
    for output in node.outputs where isDefined(output) {
      throw .invalid("value '\(output)' is computed more than once")
    }
    let description = description(of: node)
    var isSupported = true
    let folding = Folding(registry: registry, budget: model.foldingBudget)
    do {
      if let results = try folding.outputs(of: description) {
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
      guard let count = shape.elementCount, count > 0 else {
        throw OperatorError("output '\(output)' would have the impossible shape \(describe(shape))")
      }
      shapes[output] = shape
    }
    let isOutput = model.outputs.contains { node.outputs.contains($0.name) }
    let makesFloats = inputs.first.map(integers.contains) ?? false
    if Self.doesNothing(imported.op), !makesFloats || imported.op.name == "Identity", !isOutput,
      node.outputs.count == 1
    {
      sources[node.outputs[0]] = inputs[0]
    } else {
      nodes.append(Node(name: node.name, op: imported.op, inputs: inputs, outputs: node.outputs))
      for (index, output) in node.outputs.enumerated()
      where imported.op.elementType(ofOutput: index) != .float32 {
        integers.insert(output)
      }
    }
  }

  /// Whether an operator returns its first input when a network is not being trained.
  private static func doesNothing(_ op: any Operator) -> Bool {
    // What is computed at run time is of single precision already.
    op.name == "Cast"
      ? op.exported().attributes["to"] == .int(ONNXTensorProto.DataType.float.rawValue)
      : ["Dropout", "Identity"].contains(op.name)
  }

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

  /// A `Concat` of a constant for each example and a fixed batch, such as a class token: the constant
  /// is repeated to the batch size that is read instead.
  private mutating func repeatingConstants(of node: ParsedModel.Node) -> ParsedModel.Node {
    guard let fixedBatch, node.type == "Concat", node.attributes["axis"] != .int(0),
      node.inputs.contains(where: { name in
        name.map { constants[$0] == nil && shape(of: $0).first == fixedBatch.probe } ?? false
      })
    else { return node }
    var node = node
    for (index, name) in node.inputs.enumerated() {
      guard let name, let constant = constants[name], fixedBatch.written == 1,
        constant.shape.first == 1
      else { continue }
      let repeated = ownName("\(name) for each example")
      constants[repeated] = constant.selecting(
        [Int](repeating: 0, count: fixedBatch.probe), axis: 0)
      node.inputs[index] = repeated
    }
    return node
  }

  private mutating func ownName(_ wanted: String) -> String {
    var name = wanted
    while isDefined(name) || model.computes(name) || !ownNames.insert(name).inserted { name += "'" }
    return name
  }

  func shape(of name: String) -> [Int] { constants[name]?.shape ?? shapes[name] ?? [] }

  /// The size of an axis; `nil` where the value has no such axis.
  func size(of place: ParsedModel.NamedAxis) -> Int? {
    let shape = shape(of: place.name)
    return shape.indices.contains(place.axis) ? shape[place.axis] : nil
  }

  func isDefined(_ name: String) -> Bool { constants[name] != nil || shapes[name] != nil }
}

extension Trace {
  /// The trace that is this one for one batch size and `other` for another.
  /// - Throws: naming a node that does not say how it depends on the batch size.
  func merged(with other: Trace) throws(ONNXError) -> Trace {
    guard nodes.map(\.name) == other.nodes.map(\.name) else {
      throw .invalid("the nodes depend on the batch size", recovery: fixingTheBatch)
    }
    var result = self
    result.nodes = []
    for (a, b) in zip(nodes, other.nodes) {
      let inputs = a.inputs == b.inputs ? result.inputs(of: a, asIn: other) : nil
      guard let inputs, let op = Self.merged(a.op, b.op) else {
        throw .node(
          name: a.name, type: a.op.name,
          problem: "depends on the batch size in a way that is not supported",
          recovery: fixingTheBatch)
      }
      result.nodes.append(Node(name: a.name, op: op, inputs: inputs, outputs: a.outputs))
    }
    for output in model.outputs where constants[output.name] != other.constants[output.name] {
      throw .invalid(
        "output '\(output.name)' depends on the batch size only", recovery: fixingTheBatch)
    }
    return result
  }

  /// The inputs of a node with constants that hold for any batch size; `nil` where there are none.
  ///
  /// A constant that is repeated for every example becomes one example of it: arithmetic broadcasts
  /// it, and what a `Concat` needs is made from zeros of another of its inputs.
  private mutating func inputs(of node: Node, asIn other: Trace) -> [String]? {
    var inputs = node.inputs
    for (index, name) in node.inputs.enumerated() where constants[name] != other.constants[name] {
      guard let own = constants[name], let theirs = other.constants[name], own.shape.count > 0,
        own.shape[0] > 0, theirs.shape[0] > 0
      else { return nil }
      let example = own.selecting([0], axis: 0)
      func repeated(_ count: Int) -> Tensor {
        example.selecting([Int](repeating: 0, count: count), axis: 0)
      }
      guard own == repeated(own.shape[0]), theirs == repeated(theirs.shape[0]) else { return nil }
      let single = singles[name] ?? ownName("\(name) of one example")
      singles[name] = single
      constants[single] = example
      if Self.broadcasting.contains(node.op.name) {
        inputs[index] = single
      } else if node.op.name == "Concat",
        case .int(let axis)? = node.op.exported().attributes["axis"],
        let batch = node.inputs.first(where: { constants[$0] == nil })
      {
        let (slice, zeros) = (ownName("\(name) slice"), ownName("\(name) zeros"))
        let (repeated, zero) = (ownName("\(name) for every example"), ownName("zero"))
        constants[zero] = Tensor(shape: [], floats: [0])
        let bounds = [0, 1, axis].enumerated().map { ($0 + 1, Tensor([$1])) }
        guard
          let slicing = made(
            "Slice", slice, [batch], constants: Dictionary(uniqueKeysWithValues: bounds)),
          let scaling = made("Mul", zeros, [slice, zero]),
          let adding = made("Add", repeated, [zeros, single])
        else { return nil }
        nodes += [slicing, scaling, adding]
        inputs[index] = repeated
      } else {
        return nil
      }
    }
    return inputs
  }

  private static let broadcasting: Set<String> = ["Add", "Div", "Mul", "Sub"]

  /// A node that is not in the file, named as its only output.
  private func made(
    _ type: String, _ name: String, _ inputs: [String], constants: [Int: Tensor] = [:]
  ) -> Node? {
    let count = max(inputs.count, (constants.keys.max() ?? -1) + 1)
    let description = NodeDescription(
      name: name, operatorType: type, opset: NodeDescription.exportOpset,
      inputs: (0..<count).map { index in
        index < inputs.count
          ? .init(shape: shape(of: inputs[index]))
          : constants[index].map { .init(shape: $0.shape, constant: $0) }
      })
    guard let op = try? registry[type]?.importing(description).op else { return nil }
    return Node(name: name, op: op, inputs: inputs, outputs: [name])
  }

  private static func merged(_ a: any Operator, _ b: any Operator) -> (any Operator)? {
    if a.exported() == b.exported() { return a }
    return (a as? any BatchDependentOperator)?.merged(withAny: b)
  }

  /// What helps a network that depends on the batch size.
  var fixingTheBatch: String {
    let shapes = model.inputs.map { input in
      let shape = shape(of: input.name)
      return "--input-shape \(input.name)=\(describe([1] + shape.dropFirst()))"
    }
    return "fix the batch size with \(shapes.joined(separator: " "))"
  }
}
