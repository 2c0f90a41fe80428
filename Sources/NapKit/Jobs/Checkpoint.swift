package import Foundation
import NapData
import NapGraph
import NapOperators
import NapTensor

/// A file with one value, with the very bits that it has: complete or not there, and known for broken
/// where it is.
package enum Checkpoint {
  /// Says that it is one, and of which version; what an older nap wrote is not read.
  private static let mark = Data("nap checkpoint 1\n".utf8)

  static func write(_ value: some Encodable, to path: String) throws {
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    let content = try encoder.encode(value)
    let file = try AtomicFile(path)
    try file.write(seal(of: content))
    try file.write(content)
    try file.commit()
  }

  /// What stands before a content, and tells whether it is whole.
  package static func seal(of content: Data) -> Data {
    var sum = content.checksum.littleEndian
    return mark + Data(bytes: &sum, count: 4)
  }

  /// `nil` where there is none, or none that is whole.
  package static func read<Value: Decodable>(_ type: Value.Type, from path: String) -> Value? {
    guard let data = FileManager.default.contents(atPath: path), data.starts(with: mark),
      data.count >= mark.count + 4
    else { return nil }
    let content = data.dropFirst(mark.count + 4)
    let sum = data.dropFirst(mark.count).prefix(4).reversed().reduce(UInt32(0)) {
      $0 << 8 | UInt32($1)
    }
    guard content.checksum == sum, BinaryPropertyList.isSound(content) else { return nil }
    let decoder = PropertyListDecoder()
    decoder.userInfo[.operators] = OperatorRegistry.all
    return try? decoder.decode(type, from: Data(content))
  }
}
