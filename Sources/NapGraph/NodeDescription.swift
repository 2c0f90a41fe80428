package import NapTensor

/// An attribute of an ONNX node.
package enum Attribute: Sendable, Hashable {
  case int(Int)
  case float(Float)
  case string(String)
  case tensor(Tensor)
  case ints([Int])
  case floats([Float])
  case strings([String])
}

/// A node of an ONNX file as an operator sees it when it is read.
package struct NodeDescription: Sendable {
  /// The opset networks are written in unless an operator needs a newer one.
  package static let exportOpset = 17

  /// What is known of one input.
  package struct Input: Sendable {
    /// The shape, with the probe size in place of dynamic dimensions.
    package var shape: [Int]
    /// The value, where it is known before running.
    package var constant: Tensor?

    package init(shape: [Int], constant: Tensor? = nil) {
      self.shape = shape
      self.constant = constant
    }
  }

  package var name: String
  package var operatorType: String
  package var opset: Int
  package var attributes: [String: Attribute]
  /// Inputs by ONNX position; `nil` for an optional input that is absent.
  package var inputs: [Input?]
  package var outputCount: Int

  package init(
    name: String, operatorType: String, opset: Int, attributes: [String: Attribute] = [:],
    inputs: [Input?], outputCount: Int = 1
  ) {
    self.name = name
    self.operatorType = operatorType
    self.opset = opset
    self.attributes = attributes
    self.inputs = inputs
    self.outputCount = outputCount
  }
}

extension NodeDescription {
  package func int(_ key: String, default fallback: Int) throws(OperatorError) -> Int {
    switch attributes[key] {
    case nil: return fallback
    case .int(let value): return value
    default: throw OperatorError("attribute '\(key)' is not an integer")
    }
  }

  /// A number that is finite, or infinite where that means something: as a bound, or as padding.
  package func float(
    _ key: String, default fallback: Float, orInfinite: Bool = false
  ) throws(OperatorError) -> Float {
    switch attributes[key] {
    case nil: return fallback
    case .float(let value) where value.isFinite || orInfinite && !value.isNaN: return value
    case .float(let value):
      throw OperatorError("attribute '\(key)' is \(value.isNaN ? "NaN" : "infinite")")
    default: throw OperatorError("attribute '\(key)' is not a float")
    }
  }

  package func string(_ key: String, default fallback: String) throws(OperatorError) -> String {
    switch attributes[key] {
    case nil: return fallback
    case .string(let value): return value
    default: throw OperatorError("attribute '\(key)' is not a string")
    }
  }

  /// The attribute, or `nil` where it is absent.
  package func ints(_ key: String) throws(OperatorError) -> [Int]? {
    switch attributes[key] {
    case nil: return nil
    case .ints(let value): return value
    default: throw OperatorError("attribute '\(key)' is not a list of integers")
    }
  }

  /// Whether the optional input at an ONNX position is there.
  package func hasInput(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }

  package func shape(ofInput index: Int) throws(OperatorError) -> [Int] {
    guard index < inputs.count, let input = inputs[index] else {
      throw OperatorError("input \(index) is missing")
    }
    return input.shape
  }

  /// The constant at an ONNX input position, `nil` where the input is absent.
  /// - Throws: when the input is there but only known at run time.
  package func constant(ofInput index: Int, _ what: String) throws(OperatorError) -> Tensor? {
    guard index < inputs.count, let input = inputs[index] else { return nil }
    guard let constant = input.constant else {
      throw OperatorError(
        "\(what) (input \(index)) is computed at run time, which is not supported",
        recovery: "export the model with fixed shapes, or give --input-shape")
    }
    return constant
  }

  /// A list of integers that is an attribute in old opsets and a constant input in newer ones.
  package func ints(_ key: String, orInput index: Int) throws(OperatorError) -> [Int]? {
    if let value = try ints(key) { return value }
    guard let tensor = try constant(ofInput: index, key) else { return nil }
    guard !tensor.isFloat else {
      throw OperatorError("\(key) (input \(index)) holds floats, not integers")
    }
    return tensor.integers.map(Int.init)
  }
}

/// How an operator is written to ONNX.
package struct ExportedOperator: Sendable, Hashable {
  package var operatorType: String
  package var attributes: [String: Attribute]
  /// The ONNX input position of each input of the operator; `nil` means `0, 1, 2, …`.
  package var inputPositions: [Int]?
  /// Constants to write as further inputs, by ONNX position.
  package var constants: [Int: Tensor]
  /// The oldest opset in which the operator can be written so.
  package var opset: Int

  package init(
    _ operatorType: String, attributes: [String: Attribute] = [:], inputPositions: [Int]? = nil,
    constants: [Int: Tensor] = [:], opset: Int = NodeDescription.exportOpset
  ) {
    self.operatorType = operatorType
    self.attributes = attributes
    self.inputPositions = inputPositions
    self.constants = constants
    self.opset = opset
  }
}
