import Foundation
import NapReport

/// Events that TensorBoard reads: records of protocol buffers, each with its length and checksums.
///
/// - Source: TensorFlow's `tensorflow/core/lib/io/record_writer.h`, `util/event.proto`,
///   `framework/summary.proto`.
struct TensorBoard {
  static let fileName = "events.out.tfevents.0.nap"

  /// Of every tag, how many values it has had.
  private var steps: [String: Int] = [:]

  /// What every file begins with.
  static func header(seconds: Double) -> Data {
    record(field(1, double: seconds) + field(3, bytes: Data("brain.Event:2".utf8)))
  }

  /// A record for every number of a line of metrics.
  mutating func records(of metric: Metric) -> Data {
    guard metric.kind != "stage" else { return Data() }
    let time = (try? Date(metric.time, strategy: .iso8601))?.timeIntervalSince1970 ?? 0
    let group = metric.kind == "epoch" ? metric.name : metric.kind
    return metric.values.sorted { $0.key < $1.key }.reduce(into: Data()) { data, value in
      let tag = "\(group)/\(value.key)"
      steps[tag, default: 0] += 1
      let summary = Self.field(
        1,
        bytes: Self.field(1, bytes: Data(tag.utf8)) + Self.field(2, float: Float(value.value)))
      data += Self.record(
        Self.field(1, double: time) + Self.field(2, integer: UInt64(steps[tag] ?? 0))
          + Self.field(5, bytes: summary))
    }
  }

  private static func record(_ content: Data) -> Data {
    let length = little(UInt64(content.count))
    return length + little(masked(crc32c(length))) + content + little(masked(crc32c(content)))
  }

  // MARK: Protocol buffers
  private static func varint(_ number: UInt64) -> Data {
    var (data, rest) = (Data(), number)
    while rest > 127 {
      data.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return data + [UInt8(rest)]
  }

  private static func field(_ number: UInt64, integer: UInt64) -> Data {
    varint(number << 3) + varint(integer)
  }

  private static func field(_ number: UInt64, double: Double) -> Data {
    varint(number << 3 | 1) + little(double.bitPattern)
  }

  private static func field(_ number: UInt64, float: Float) -> Data {
    varint(number << 3 | 5) + little(float.bitPattern)
  }

  private static func field(_ number: UInt64, bytes: Data) -> Data {
    varint(number << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }

  private static func little<Number: FixedWidthInteger>(_ number: Number) -> Data {
    withUnsafeBytes(of: number.littleEndian) { Data($0) }
  }

  // MARK: Checksums
  private static func masked(_ sum: UInt32) -> UInt32 {
    (sum >> 15 | sum << 17) &+ 0xa282_ead8
  }

  /// CRC-32C, Castagnoli's.
  static func crc32c(_ data: Data) -> UInt32 {
    ~data.reduce(~UInt32(0)) { table[Int(($0 ^ UInt32($1)) & 255)] ^ ($0 >> 8) }
  }

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in
      value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1
    }
  }
}
