import Foundation
import NapGraph
import NapTensor
import SwiftProtobuf

/// A model file after decoding: only what the outputs need, with checked tensors and attributes.
struct ParsedModel {
  struct Node {
    var name: String
    var type: String
    var attributes: [String: Attribute]
    /// Value names by ONNX position; `nil` where an optional input is absent.
    var inputs: [String?]
    var outputs: [String]
  }

  var opset = 0
  var name = ""
  var documentation = ""
  var metadata: [(key: String, value: String)] = []
  var inputs: [Signature] = []
  var outputs: [Signature] = []
  /// Each behind those it reads from.
  var nodes: [Node] = []
  var constants: [String: Tensor] = [:]
  private(set) var foldingBudget = FoldingBudget(elements: 0)

  /// - Parameters:
  ///   - path: the file, or what to call the bytes.
  ///   - data: of a file that has no place; `nil` reads it.
  init(path: String, data: Data? = nil) throws(ONNXError) {
    let model = try Self.decode(path, data)
    opset = try Self.opset(of: model, path: path)
    guard model.trainingInfo.isEmpty else {
      throw .unsupported(
        "training information in '\(path)'", recovery: "export the model for inference")
    }
    var graph = model.graph
    graph.flattenBranches()
    name = graph.name
    documentation = model.docString.isEmpty ? graph.docString : model.docString
    metadata = model.metadataProps.map { ($0.key, $0.value) }

    let initializers = Set(
      graph.initializer.map(\.name) + graph.sparseInitializer.map(\.values.name))
    for input in graph.input where !initializers.contains(input.name) {
      inputs.append(try Signature(input, kind: .input))
    }
    for output in graph.output { outputs.append(try Signature(output, kind: .output)) }
    guard !inputs.isEmpty else { throw .invalid("'\(path)' has no input") }
    guard !outputs.isEmpty else { throw .invalid("'\(path)' has no output") }

    let folder = FilePath(path).folder
    let reading = TensorReading(externalData: ExternalData(folder: folder))
    let names = Self.uniqueNames(graph.node)
    let used = try Self.sorted(graph)
    for index in used.nodes {
      nodes.append(
        try Self.node(
          graph.node[index], name: names[index], used: used.values, opset: opset, reading))
    }
    for proto in graph.initializer where used.values.contains(proto.name) {
      try define(proto.name, as: try reading.tensor(proto, name: proto.name))
    }
    for proto in graph.sparseInitializer where used.values.contains(proto.values.name) {
      try define(proto.values.name, as: try reading.tensor(proto))
    }
    let written = nodes.flatMap(\.attributes.values).map { attribute in
      if case .tensor(let tensor) = attribute { tensor.count } else { 0 }
    }
    foldingBudget = FoldingBudget(
      elements: (constants.values.map(\.count) + written).reduce(0, +))
  }

  func computes(_ name: String) -> Bool { nodes.contains { $0.outputs.contains(name) } }

  /// What a `Squeeze` makes that names no axes.
  var squeezed: [String] {
    nodes.filter { node in
      node.type == "Squeeze" && node.attributes["axes"] == nil
        && node.inputs.dropFirst().allSatisfy { $0 == nil }
    }.flatMap(\.outputs)
  }

  private mutating func define(_ name: String, as tensor: Tensor) throws(ONNXError) {
    guard constants[name] == nil else { throw .invalid("there are two initializers '\(name)'") }
    constants[name] = tensor
  }

  static func decode(_ path: String, _ given: Data? = nil) throws(ONNXError) -> ONNXModelProto {
    if given == nil, let error = OtherFormat.error(folder: path) { throw error }
    let data: Data
    if let given { data = given } else { data = try mappedFile(path) }
    guard !data.isEmpty else { throw .notONNX(path: path, reason: "it is empty") }
    if let error = OtherFormat.error(path, data, trustsName: false) { throw error }
    func broken(_ reason: String) -> ONNXError {
      OtherFormat.error(path, data, trustsName: true) ?? .notONNX(path: path, reason: reason)
    }
    let model: ONNXModelProto
    do {
      model = try ONNXModelProto(serializedBytes: data)
    } catch BinaryDecodingError.truncated {
      throw broken("it ends too early")
    } catch {
      throw broken("it cannot be decoded")
    }
    guard model.hasGraph else { throw broken("it holds no graph") }
    return model
  }

  private static func opset(of model: ONNXModelProto, path: String) throws(ONNXError) -> Int {
    let version = model.opsetImport.first { isDefaultDomain($0.domain) }.map { Int($0.version) }
    guard let version, supportedOpsets.contains(version) else {
      throw .opset(path: path, version: version)
    }
    return version
  }

  private static func isDefaultDomain(_ domain: String) -> Bool {
    domain.isEmpty || domain == "ai.onnx"
  }

  /// Node names as in the file; `Type_index` where there is none, numbered where one is taken.
  private static func uniqueNames(_ nodes: [ONNXNodeProto]) -> [String] {
    var taken = Set(nodes.map(\.name))
    var seen: Set<String> = []
    return nodes.enumerated().map { index, node in
      if !node.name.isEmpty, seen.insert(node.name).inserted { return node.name }
      let stem = node.name.isEmpty ? "\(node.opType)_\(index)" : node.name
      var name = stem
      var suffix = 1
      while name.isEmpty || !taken.insert(name).inserted {
        name = "\(stem)_\(suffix)"
        suffix += 1
      }
      return name
    }
  }

  private static func node(
    _ proto: ONNXNodeProto, name: String, used: Set<String>, opset: Int, _ reading: TensorReading
  ) throws(ONNXError) -> Node {
    let type = proto.opType
    guard isDefaultDomain(proto.domain) else {
      throw .unsupportedDomain(proto.domain, operatorType: type, node: name)
    }
    guard !controlFlow.contains(type) else {
      throw .unsupported(
        "control flow (\(type), node '\(name)')",
        recovery: "export the model without branches and loops")
    }
    guard !type.hasPrefix("Sequence"), !type.hasPrefix("Optional"), !type.hasSuffix("Sequence")
    else {
      throw .unsupported("the sequence or optional type of node '\(name)' (\(type))")
    }
    var inputs = proto.input.map { $0.isEmpty ? nil : $0 }
    while let last = inputs.last, last == nil { inputs.removeLast() }
    var outputs = proto.output
    // Trailing outputs that nobody reads, such as a mask, are optional but where their number says
    // something: into how many parts to split, or that the network is in training mode.
    func isOptional(_ output: String) -> Bool {
      switch type {
      case "Split": false
      case "BatchNormalization" where opset < 14: output.isEmpty
      default: !used.contains(output)
      }
    }
    while let last = outputs.last, isOptional(last) { outputs.removeLast() }
    for index in outputs.indices where outputs[index].isEmpty {
      outputs[index] = "\(name)_output_\(index)"
    }
    return Node(
      name: name, type: type, attributes: try attributes(proto, name: name, reading),
      inputs: inputs, outputs: outputs)
  }

  private static let controlFlow: Set<String> = ["If", "Loop", "Scan"]

  private static func attributes(
    _ node: ONNXNodeProto, name: String, _ reading: TensorReading
  ) throws(ONNXError) -> [String: Attribute] {
    var result: [String: Attribute] = [:]
    for proto in node.attribute {
      do {
        result[proto.name] = try Attribute(proto, reading)
      } catch {
        throw .node(
          name: name, type: node.opType, problem: "attribute '\(proto.name)': \(error.problem)",
          recovery: error.recovery)
      }
    }
    return result
  }
}

extension Attribute {
  fileprivate init(_ proto: ONNXAttributeProto, _ reading: TensorReading) throws(ONNXError) {
    guard proto.refAttrName.isEmpty else {
      throw .unsupported("a reference to a function's attribute")
    }
    switch proto.hasType ? proto.type : Self.guessedType(proto) {
    case .float: self = .float(proto.f)
    case .int: self = .int(Int(proto.i))
    case .string: self = .string(String(decoding: proto.s, as: UTF8.self))
    case .tensor: self = .tensor(try reading.tensor(proto.t, name: proto.t.name))
    case .sparseTensor: self = .tensor(try reading.tensor(proto.sparseTensor))
    case .floats: self = .floats(proto.floats)
    case .ints: self = .ints(proto.ints.map(Int.init))
    case .strings: self = .strings(proto.strings.map { String(decoding: $0, as: UTF8.self) })
    case let other: throw .unsupported("an attribute of type \(other)")
    }
  }

  /// The type of an attribute written before files had to state it.
  private static func guessedType(_ proto: ONNXAttributeProto) -> ONNXAttributeProto.AttributeType {
    if proto.hasF { return .float }
    if proto.hasI { return .int }
    if proto.hasS { return .string }
    if proto.hasT { return .tensor }
    if proto.hasSparseTensor { return .sparseTensor }
    if proto.hasG { return .graph }
    if !proto.floats.isEmpty { return .floats }
    if !proto.strings.isEmpty { return .strings }
    return .ints
  }
}
