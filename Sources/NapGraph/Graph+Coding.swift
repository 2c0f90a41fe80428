import NapTensor

/// Networks on the way of a job are coded with all that they are, value by value, which files of other
/// formats do not keep.
extension Graph: Codable {
  private enum Keys: String, CodingKey {
    case name, nodes, inputs, outputs, constants, values, metadata, documentation, frozen,
      cuts
  }

  private struct Constant: Codable {
    var value: ValueID
    var tensor: Tensor
  }

  private struct Cut: Codable {
    var place: IndexAtoms.Place
    var cut: AxisCut
  }

  private struct Property: Codable {
    var key: String
    var value: String
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(name, forKey: .name)
    try container.encode(nodes, forKey: .nodes)
    try container.encode(inputs, forKey: .inputs)
    try container.encode(outputs, forKey: .outputs)
    try container.encode(
      constants.sorted { $0.key < $1.key }.map { Constant(value: $0.key, tensor: $0.value) },
      forKey: .constants)
    try container.encode(valueNames, forKey: .values)
    try container.encode(
      metadata.map { Property(key: $0.key, value: $0.value) }, forKey: .metadata)
    try container.encode(documentation, forKey: .documentation)
    try container.encode(frozenNodes.sorted(), forKey: .frozen)
    try container.encode(
      cuts.sorted { ($0.key.value, $0.key.axis) < ($1.key.value, $1.key.axis) }
        .map { Cut(place: $0.key, cut: $0.value) }, forKey: .cuts)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    self.init()
    name = try container.decode(String.self, forKey: .name)
    nodes = try container.decode([Node].self, forKey: .nodes)
    inputs = try container.decode([Port].self, forKey: .inputs)
    outputs = try container.decode([Port].self, forKey: .outputs)
    for constant in try container.decode([Constant].self, forKey: .constants) {
      constants[constant.value] = constant.tensor
    }
    valueNames = try container.decode([String].self, forKey: .values)
    metadata = try container.decode([Property].self, forKey: .metadata)
      .map { ($0.key, $0.value) }
    documentation = try container.decode(String.self, forKey: .documentation)
    frozenNodes = Set(try container.decode([String].self, forKey: .frozen))
    for cut in try container.decode([Cut].self, forKey: .cuts) { cuts[cut.place] = cut.cut }
    let used = nodes.flatMap { $0.inputs + $0.outputs } + (inputs + outputs).map(\.value)
    guard (used + constants.keys).allSatisfy({ valueNames.indices.contains($0.index) }) else {
      throw DecodingError.dataCorruptedError(
        forKey: .values, in: container, debugDescription: "a value has no name")
    }
  }
}

extension Node: Codable {
  private enum Keys: String, CodingKey {
    case name, type, op, inputs, outputs
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(name, forKey: .name)
    try container.encode(op.name, forKey: .type)
    try container.encode(op, forKey: .op)
    try container.encode(inputs, forKey: .inputs)
    try container.encode(outputs, forKey: .outputs)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    let type = try container.decode(String.self, forKey: .type)
    let operators = decoder.userInfo[.operators] as? OperatorRegistry
    guard let type = operators?[type] else {
      throw DecodingError.dataCorruptedError(
        forKey: .type, in: container, debugDescription: "there is no operator '\(type)'")
    }
    self.init(
      name: try container.decode(String.self, forKey: .name),
      op: try container.decode(type, forKey: .op),
      inputs: try container.decode([ValueID].self, forKey: .inputs),
      outputs: try container.decode([ValueID].self, forKey: .outputs))
  }
}

extension CodingUserInfoKey {
  /// An `OperatorRegistry`: what graphs are decoded with.
  package static let operators = CodingUserInfoKey(rawValue: "nap.operators")!
}
