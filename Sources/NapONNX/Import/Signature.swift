import NapGraph
import NapTensor

/// An input or output as the file declares it.
struct Signature {
  var name: String
  /// Floats, or whole numbers.
  var elementType: ElementType
  var isInteger: Bool { elementType != .float32 }
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
    let types: [ONNXTensorProto.DataType] =
      kind == .output ? [.float, .int64] : [.float, .int64, .int32]
    guard types.contains(where: { Int32($0.rawValue) == tensor.elemType }) else {
      let type = typeName(tensor.elemType)
      throw .unsupported(
        "the element type \(type) of \(kind) '\(name)'",
        recovery: "export the model with float32 inputs and outputs; indices may be int64 or int32")
    }
    let type = types.first { Int32($0.rawValue) == tensor.elemType }
    elementType = type == .int64 ? .int64 : type == .int32 ? .int32 : .float32
    guard tensor.hasShape else { return }
    var dimensions: [Dimension] = []
    for dimension in tensor.shape.dim {
      switch dimension.value {
      // Some exporters write so what others leave out.
      case .dimValue(-1): dimensions.append(.dynamic(""))
      case .dimValue(let size):
        guard size > 0, [Int(size)].elementCount != nil else {
          throw .invalid("\(kind) '\(name)' has a dimension of size \(size)")
        }
        dimensions.append(.fixed(Int(size)))
      case .dimParam(let parameter): dimensions.append(.dynamic(parameter))
      case nil: dimensions.append(.dynamic(""))
      }
    }
    let sizes = dimensions.map { if case .fixed(let size) = $0 { size } else { 1 } }
    guard sizes.elementCount != nil else {
      throw .invalid("\(kind) '\(name)' has the impossible shape \(describe(sizes))")
    }
    self.dimensions = dimensions
  }

  /// The dimensions that the network is read with: the batch size open where the file leaves it
  /// open, all other sizes known.
  ///
  /// - Parameters:
  ///   - shape: what is told of this input; `nil` for sizes that are not.
  ///   - named: what is told of dimensions that have names.
  func dimensions(given shape: [Int?]?, named: [String: Int]) throws(ONNXError) -> [Dimension] {
    guard let dimensions = dimensions ?? shape?.map({ _ in .dynamic("") }) else {
      throw .input(
        name: name, problem: "has no shape",
        recovery: "give it with --input-shape \(name)=1x3x224x224")
    }
    if let shape { try check(shape, fits: dimensions) }
    var result: [Dimension] = []
    for (axis, dimension) in dimensions.enumerated() {
      let isBatch = axis == 0 && self.dimensions != nil
      guard case .dynamic(let size) = dimension, !isBatch else {
        result.append(dimension)
        continue
      }
      guard let told = shape?[axis] ?? named[size] else {
        throw .input(
          name: name, problem: "has the shape \(text), and nothing tells its sizes",
          recovery: "give them with --input-shape \(name)=\(example)")
      }
      result.append(.fixed(told))
    }
    return result
  }

  private func check(_ shape: [Int?], fits dimensions: [Dimension]) throws(ONNXError) {
    let whole = shape.map { $0 ?? 1 }
    guard whole.allSatisfy({ $0 > 0 }), whole.elementCount != nil else {
      throw .input(name: name, problem: "cannot have the shape \(describe(whole))", recovery: nil)
    }
    let fits =
      dimensions.count == shape.count
      && zip(dimensions, shape).allSatisfy {
        if case .fixed(let size) = $0 { $1 == nil || size == $1 } else { true }
      }
    guard fits else {
      throw .input(
        name: name, problem: "has the shape \(text), which \(describe(whole)) does not fit",
        recovery: dimensions.contains { $0.isDynamic }
          ? "give sizes that fit, such as --input-shape \(name)=\(example)" : nil)
    }
  }

  /// Such as `Nx3xHxW`, with `?` for what has no name.
  var text: String {
    (dimensions ?? []).map {
      switch $0 {
      case .fixed(let size): String(size)
      case .dynamic(let name): name.isEmpty ? "?" : name
      }
    }.joined(separator: "x")
  }

  /// A shape that the dimensions allow: of images where they may be images.
  private var example: String {
    let dimensions = dimensions ?? []
    return dimensions.enumerated().map { axis, dimension in
      switch dimension {
      case .fixed(let size): String(size)
      case .dynamic: axis == 0 ? "1" : axis == 1 && dimensions.count == 4 ? "3" : "224"
      }
    }.joined(separator: "x")
  }
}

extension Dimension {
  var isDynamic: Bool { if case .dynamic = self { true } else { false } }
}
