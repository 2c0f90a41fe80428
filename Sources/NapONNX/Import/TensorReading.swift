import Foundation
import NapTensor

/// Turns the tensors of a file into values, whatever form their data has.
struct TensorReading {
  var externalData: ExternalData

  /// - Parameter name: what error messages call the tensor.
  func tensor(_ proto: ONNXTensorProto, name: String) throws(ONNXError) -> Tensor {
    func wrong(_ problem: String) -> ONNXError { .tensor(name: name, problem: problem) }
    guard let type = ONNXTensorProto.DataType(rawValue: Int(proto.dataType)), type != .undefined
    else {
      throw wrong("has the unknown element type \(proto.dataType)")
    }
    guard !proto.hasSegment else { throw wrong("is stored in segments, which is not supported") }
    let shape = proto.dims.map(Int.init)
    guard let count = shape.elementCount else {
      throw wrong("has the impossible shape \(describe(shape))")
    }
    let bytes = type == .float ? 4 : type == .double ? 12 : 8
    try checkMemory(for: count * bytes, of: name)
    let source = Source(
      raw: try raw(proto, name: name), floats: proto.floatData, doubles: proto.doubleData,
      ints: proto.int32Data, longs: proto.int64Data)
    guard let width = byteWidth(type) else {
      throw wrong("holds \(typeName(proto.dataType)) numbers, which are not supported")
    }
    if let raw = source.raw {
      guard raw.count == count * width else {
        throw wrong(
          "of shape \(describe(shape)) needs \(count * width) bytes, but has \(raw.count)")
      }
    } else {
      let available = source.count(type)
      guard available == count else {
        throw wrong("of shape \(describe(shape)) needs \(count) elements, but has \(available)")
      }
    }
    return switch type {
    case .int64: Tensor(shape: shape, integers: source.longsOrRaw())
    case .int32: Tensor(shape: shape, integers: source.intsOrRaw(), elementType: .int32)
    case .bool: Tensor(shape: shape, integers: source.boolsOrRaw(), elementType: .bool)
    case .double: Tensor(shape: shape, doubles: source.doublesOrRaw())
    case .float16: Tensor(shape: shape, floats: source.halves { Float(halfBits: $0) })
    case .bfloat16:
      Tensor(shape: shape, floats: source.halves { Float(bitPattern: UInt32($0) << 16) })
    default: Tensor(shape: shape, floats: source.floatsOrRaw())
    }
  }

  /// A sparse tensor with its zeros written out.
  func tensor(_ proto: ONNXSparseTensorProto) throws(ONNXError) -> Tensor {
    let name = proto.values.name
    func wrong(_ problem: String) -> ONNXError { .tensor(name: name, problem: problem) }
    let values = try tensor(proto.values, name: name)
    let places = try tensor(proto.indices, name: name)
    let shape = proto.dims.map(Int.init)
    guard let count = shape.elementCount else {
      throw wrong("has the impossible shape \(describe(shape))")
    }
    try checkMemory(for: 4 * count, of: name)
    guard values.isFloat else { throw wrong("is sparse, but holds no floats") }
    let width = places.shape.count == 2 ? shape.count : 1
    guard !places.isFloat,
      places.shape
        == (width == 1 && places.shape.count == 1
          ? [values.count] : [values.count, width])
    else { throw wrong("needs a place for each of its \(values.count) values") }
    var result = [Float](repeating: 0, count: count)
    for (n, value) in values.floats.enumerated() {
      var place = 0
      for axis in 0..<width {
        let index = Int(places.integers[n * width + axis])
        let size = width == 1 ? count : shape[axis]
        guard (0..<size).contains(index) else { throw wrong("has a value outside its shape") }
        place = width == 1 ? index : place * size + index
      }
      result[place] = value
    }
    return Tensor(shape: shape, floats: result)
  }

  /// A few bytes of a file can ask for any number of zeros.
  private func checkMemory(for bytes: Int, of name: String) throws(ONNXError) {
    do {
      try Memory.check(bytes, for: "tensor '\(name)'")
    } catch {
      throw .memory(error)
    }
  }

  private func raw(_ proto: ONNXTensorProto, name: String) throws(ONNXError) -> Data? {
    if proto.dataLocation == .external { return try externalData.bytes(of: proto, name: name) }
    return proto.hasRawData ? proto.rawData : nil
  }

  private func byteWidth(_ type: ONNXTensorProto.DataType) -> Int? {
    switch type {
    case .float, .int32: 4
    case .int64, .double: 8
    case .float16, .bfloat16: 2
    case .bool: 1
    default: nil
    }
  }
}

/// The data fields of one tensor.
private struct Source {
  var raw: Data?
  var floats: [Float]
  var doubles: [Double]
  var ints: [Int32]
  var longs: [Int64]

  func count(_ type: ONNXTensorProto.DataType) -> Int {
    switch type {
    case .float: floats.count
    case .double: doubles.count
    case .int64: longs.count
    default: ints.count
    }
  }

  func floatsOrRaw() -> [Float] {
    guard let raw else { return floats }
    return Array(unsafeUninitializedCapacity: raw.count / 4) { buffer, count in
      raw.copyBytes(to: UnsafeMutableRawBufferPointer(buffer))
      count = raw.count / 4
    }
  }

  func doublesOrRaw() -> [Double] {
    words(UInt64.self).map { $0.map { Double(bitPattern: $0) } } ?? doubles
  }

  func longsOrRaw() -> [Int64] {
    words(UInt64.self).map { $0.map { Int64(bitPattern: $0) } } ?? longs
  }

  func intsOrRaw() -> [Int64] {
    words(UInt32.self).map { $0.map { Int64(Int32(bitPattern: $0)) } } ?? ints.map(Int64.init)
  }

  func boolsOrRaw() -> [Int64] {
    raw.map { $0.map { $0 == 0 ? 0 : 1 } } ?? ints.map { $0 == 0 ? 0 : 1 }
  }

  func halves(_ convert: (UInt16) -> Float) -> [Float] {
    (words(UInt16.self) ?? ints.map { UInt16(truncatingIfNeeded: $0) }).map(convert)
  }

  private func words<Word: FixedWidthInteger>(_: Word.Type) -> [Word]? {
    raw?.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: MemoryLayout<Word>.size).map {
        Word(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: Word.self))
      }
    }
  }
}

/// ONNX's name for an element type, in the lower case its text form uses.
func typeName(_ dataType: Int32) -> String {
  guard let type = ONNXTensorProto.DataType(rawValue: Int(dataType)) else {
    return "type \(dataType)"
  }
  return "\(type)"
}
