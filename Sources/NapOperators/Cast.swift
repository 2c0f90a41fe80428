package import NapGraph
package import NapTensor

/// The same numbers in another element type.
package struct Cast: Operator {
  package static let name = "Cast"
  package static let otherNames = ["CastLike"]

  package var type: ElementType

  package init(to type: ElementType) { self.type = type }

  /// The numbers ONNX gives to element types; those without an `ElementType` are not supported.
  ///
  /// - Source: `TensorProto.DataType` in onnx.proto.
  private static let names = [
    1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "double", 12: "uint32", 13: "uint64",
    14: "complex64", 15: "complex128", 16: "bfloat16",
  ]

  private static let floats: Set<String> = ["float16", "double", "bfloat16"]

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    if node.operatorType == "CastLike" {
      // What is computed at run time is always of single precision.
      let type = node.hasInput(1) ? node.inputs[1]?.constant?.elementType ?? .float32 : .float32
      return try ImportedOperator(Cast(to: type), of: node)
    }
    guard node.attributes["to"] != nil else { throw OperatorError("attribute 'to' is missing") }
    let number = try node.int("to", default: 0)
    let name = names[number] ?? "element type \(number)"
    // As with weights: whatever the precision in the file, nap computes and writes single precision.
    let type = floats.contains(name) ? .float32 : ElementType(rawValue: name)
    guard let type else {
      throw OperatorError(
        "casting to \(name) is not supported",
        recovery: "export the model in single precision (float)")
    }
    return try ImportedOperator(Cast(to: type), of: node)
  }

  package func exported() -> ExportedOperator {
    let number = Self.names.first { $0.value == type.rawValue }?.key ?? 1
    return ExportedOperator(name, attributes: ["to": .int(number)])
  }

  package func readsIntegers(ofInput index: Int) -> Bool { type == .float32 }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return inputs
  }

  package func link(_ links: inout IndexLinks) { links.uniteAxes() }

  package func forward(_ inputs: [Tensor]) -> [Tensor] { [inputs[0].converted(to: type)] }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    [inputs[0].isFloat && type == .float32 ? cotangents[0] : nil]
  }
}
