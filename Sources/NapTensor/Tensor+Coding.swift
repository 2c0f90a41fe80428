package import Foundation

extension Tensor: Codable {
  private enum Keys: String, CodingKey {
    case shape, type, elements
  }

  /// Elements are bytes, so that they come back with the very same bits.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(shape, forKey: .shape)
    try container.encode(elementType, forKey: .type)
    try container.encode(
      isFloat ? Data(numbers: floats) : Data(numbers: integers), forKey: .elements)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    let shape = try container.decode([Int].self, forKey: .shape)
    let type = try container.decode(ElementType.self, forKey: .type)
    let data = try container.decode(Data.self, forKey: .elements)
    guard let count = shape.elementCount, data.count / (type == .float32 ? 4 : 8) == count else {
      throw DecodingError.dataCorruptedError(
        forKey: .elements, in: container, debugDescription: "as many elements as the shape says")
    }
    self =
      type == .float32
      ? Tensor(shape: shape, floats: data.numbers(Float.self))
      : Tensor(shape: shape, integers: data.numbers(Int64.self), elementType: type)
  }
}

extension Data {
  /// The bytes of some numbers.
  package init<Number: BitwiseCopyable>(numbers: [Number]) {
    self = numbers.withUnsafeBytes { Data($0) }
  }

  /// The numbers whose bytes these are; a rest is left out.
  package func numbers<Number: BitwiseCopyable>(_ type: Number.Type) -> [Number] {
    let count = count / MemoryLayout<Number>.stride
    return [Number](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = copyBytes(to: buffer) / MemoryLayout<Number>.stride
    }
  }
}
