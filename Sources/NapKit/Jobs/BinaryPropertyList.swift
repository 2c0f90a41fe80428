import Foundation

/// The bytes that `PropertyListEncoder` writes, looked over before they are decoded: Foundation traps on sizes that
/// fit into no `Int` (Swift 6.3).
///
/// - Source: CFBinaryPList.c of Core Foundation.
struct BinaryPropertyList {
  private let bytes: UnsafeRawBufferPointer
  /// Where the table of the objects' places begins; objects are before it.
  private let table: Int
  private let objects: Int
  /// Bytes of a place, and of a number that stands for an object.
  private let placeSize: Int
  private let referenceSize: Int

  private static let mark = "bplist00".utf8
  private static let trailerSize = 32

  /// Whether some bytes are one, all that its objects say of sizes and of each other is inside of them, and no object
  /// is of a kind that no encoder writes.
  static func isSound(_ data: Data) -> Bool {
    data.withUnsafeBytes { bytes in
      guard let list = BinaryPropertyList(bytes) else { return false }
      return (0..<list.objects).allSatisfy { list.isSound(object: $0) }
    }
  }

  private init?(_ bytes: UnsafeRawBufferPointer) {
    let trailer = bytes.count - Self.trailerSize
    guard trailer >= Self.mark.count, bytes.starts(with: Self.mark) else { return nil }
    self.bytes = bytes
    placeSize = Int(bytes[trailer + 6])
    referenceSize = Int(bytes[trailer + 7])
    let numbers = (1...3).map { Self.number(of: bytes[trailer + 8 * $0..<trailer + 8 * $0 + 8]) }
    guard let objects = numbers[0], let top = numbers[1], let table = numbers[2],
      (1...8).contains(placeSize), (1...8).contains(referenceSize), top < objects,
      table >= Self.mark.count, table <= trailer, objects <= (trailer - table) / placeSize
    else { return nil }
    (self.objects, self.table) = (objects, table)
  }

  private func isSound(object: Int) -> Bool {
    let entry = table + object * placeSize
    guard let place = Self.number(of: bytes[entry..<entry + placeSize]),
      (Self.mark.count..<table).contains(place)
    else { return false }
    let low = Int(bytes[place] & 0xF)
    switch bytes[place] >> 4 {
    case 0x0: return low == 0x0 || low == 0x8 || low == 0x9
    case 0x1: return low <= 4 && 1 << low < table - place
    case 0x2: return (low == 2 || low == 3) && 1 << low < table - place
    case 0x3: return low == 3 && 1 << low < table - place
    case 0x4, 0x5: return content(of: place, elements: 1) != nil
    case 0x6: return content(of: place, elements: 2) != nil
    case 0xA: return content(of: place, elements: referenceSize).map(areObjects) ?? false
    case 0xD: return content(of: place, elements: 2 * referenceSize).map(areObjects) ?? false
    default: return false
    }
  }

  /// Where as many elements are as an object says that it has, each of so many bytes.
  private func content(of place: Int, elements size: Int) -> Range<Int>? {
    var (start, count) = (place + 1, Int(bytes[place] & 0xF))
    if count == 0xF {
      guard start < table, (0x10...0x13).contains(bytes[start]) else { return nil }
      let end = start + 1 + 1 << Int(bytes[start] & 0xF)
      guard end <= table, let long = Self.number(of: bytes[start + 1..<end]) else { return nil }
      (start, count) = (end, long)
    }
    guard count <= (table - start) / size else { return nil }
    return start..<start + count * size
  }

  private func areObjects(_ references: Range<Int>) -> Bool {
    stride(from: references.lowerBound, to: references.upperBound, by: referenceSize).allSatisfy {
      Self.number(of: bytes[$0..<$0 + referenceSize]).map { $0 < objects } ?? false
    }
  }

  /// Of at most 8 bytes, the highest first; `nil` beyond all `Int`s.
  private static func number(of bytes: Slice<UnsafeRawBufferPointer>) -> Int? {
    Int(exactly: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }
}
