import Foundation
import NapTensor

/// Tensors in a file as the library safetensors has them: the length of a header (eight bytes, the least
/// significant first), the header (JSON), and the numbers one after another.
///
/// Source: https://github.com/huggingface/safetensors#format
struct Safetensors {
  /// What numbers are.
  enum Element: String, Encodable {
    case int64 = "I64"
    case bool = "BOOL"

    fileprivate var size: Int { self == .int64 ? 8 : 1 }
  }

  private struct Entry: Encodable {
    var dtype: Element
    var shape: [Int]
    var data_offsets: [Int]
  }

  private struct Header: Encodable {
    var metadata: [String: String]
    var entries: [String: Entry]

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(
        entries.mapValues(Field.entry).merging(
          ["__metadata__": Field.metadata(metadata)]) { $1 })
    }
  }

  private enum Field: Encodable {
    case entry(Entry)
    case metadata([String: String])

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .entry(let entry): try container.encode(entry)
      case .metadata(let texts): try container.encode(texts)
      }
    }
  }

  var metadata: [String: String] = [:]
  private var tensors: [(name: String, element: Element, shape: [Int], bytes: Data)] = []

  mutating func add(_ name: String, _ integers: [Int]) {
    let bytes = Data(numbers: integers.map { Int64($0).littleEndian })
    tensors.append((name, .int64, [integers.count], bytes))
  }

  mutating func add(_ name: String, _ bools: [Bool], shape: [Int]) {
    tensors.append((name, .bool, shape, Data(bools.map { $0 ? 1 : 0 })))
  }

  /// The bytes of the file: every tensor begins at a multiple of what its elements take.
  func encoded() throws -> Data {
    var header = Header(metadata: metadata, entries: [:])
    var body = Data()
    for tensor in tensors.sorted(by: { (-$0.element.size, $0.name) < (-$1.element.size, $1.name) })
    {
      let end = body.count + tensor.bytes.count
      header.entries[tensor.name] = Entry(
        dtype: tensor.element, shape: tensor.shape, data_offsets: [body.count, end])
      body += tensor.bytes
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var text = try encoder.encode(header)
    text += Data(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    return Data(numbers: [UInt64(text.count).littleEndian]) + text + body
  }
}
