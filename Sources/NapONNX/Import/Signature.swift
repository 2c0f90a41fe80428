import NapGraph
import NapTensor

/// An input or output as the file declares it.
struct Signature {
  var name: String
  /// Whether it holds whole numbers, as an output may.
  var isInteger: Bool
  /// The declared sizes, or `nil` when the file does not even give their number. A dynamic dimension
  /// may have an empty name.
  var dimensions: [Dimension]?

  enum Kind {
    case input, output
  }

  init(_ proto: ONNXValueInfoProto, kind: Kind) throws(ONNXError) {
    name = proto.name
    let tensor: ONNXTypeProto.Tensor
    switch proto.type.value {
    case .tensorType(let type): tensor = type
    case nil: throw .invalid("\(kind) '\(name)' has no type")
    case .sequenceType: throw .unsupported("the sequence \(kind) '\(name)'")
    case .mapType: throw .unsupported("the map \(kind) '\(name)'")
    case .optionalType: throw .unsupported("the optional \(kind) '\(name)'")
    case .sparseTensorType: throw .unsupported("the sparse \(kind) '\(name)'")
    }
    let types: [ONNXTensorProto.DataType] = kind == .output ? [.float, .int64] : [.float]
    guard types.contains(where: { Int32($0.rawValue) == tensor.elemType }) else {
      let type = typeName(tensor.elemType)
      throw .unsupported(
        "the element type \(type) of \(kind) '\(name)'",
        recovery: "export the model with float32 inputs and outputs")
    }
    isInteger = tensor.elemType == Int32(ONNXTensorProto.DataType.int64.rawValue)
    guard tensor.hasShape else { return }
    var dimensions: [Dimension] = []
    for dimension in tensor.shape.dim {
      switch dimension.value {
      case .dimValue(let size):
        guard size > 0, size <= maximumElementCount else {
          throw .invalid("\(kind) '\(name)' has a dimension of size \(size)")
        }
        dimensions.append(.fixed(Int(size)))
      case .dimParam(let parameter): dimensions.append(.dynamic(parameter))
      case nil: dimensions.append(.dynamic(""))
      }
    }
    self.dimensions = dimensions
  }

  /// The dimensions with the sizes the user gave in place of dynamic ones.
  func dimensions(given shape: [Int]?) throws(ONNXError) -> [Dimension] {
    guard let shape else {
      guard let dimensions else {
        throw .input(
          name: name, problem: "has no shape",
          recovery: "give it with --input-shape \(name)=1x3x224x224")
      }
      let isOpen = dimensions.dropFirst().contains { if case .dynamic = $0 { true } else { false } }
      guard !isOpen else {
        throw .input(
          name: name,
          problem: "has the shape \(text(dimensions)), but only the first dimension may be open",
          recovery: "give the sizes with --input-shape \(name)=\(example(dimensions))")
      }
      return dimensions
    }
    guard shape.allSatisfy({ $0 > 0 }), elementCount(shape) != nil else {
      throw .input(name: name, problem: "cannot have the shape \(describe(shape))", recovery: nil)
    }
    guard let dimensions else { return shape.map { .fixed($0) } }
    let fits =
      dimensions.count == shape.count
      && zip(dimensions, shape).allSatisfy {
        if case .fixed(let size) = $0 { size == $1 } else { true }
      }
    guard fits else {
      throw .input(
        name: name,
        problem: "has the shape \(text(dimensions)), which \(describe(shape)) does not fit",
        recovery: nil)
    }
    return shape.map { .fixed($0) }
  }

  private func text(_ dimensions: [Dimension]) -> String {
    dimensions.map {
      switch $0 {
      case .fixed(let size): String(size)
      case .dynamic(let name): name.isEmpty ? "?" : name
      }
    }.joined(separator: "x")
  }

  private func example(_ dimensions: [Dimension]) -> String {
    dimensions.enumerated().map { axis, dimension in
      switch dimension {
      case .fixed(let size): String(size)
      case .dynamic: axis == 0 ? "1" : "224"
      }
    }.joined(separator: "x")
  }
}
