internal import CNapPNG
package import Foundation

extension Data {
  /// CRC-32 as zip archives and gzip files have it.
  package var checksum: UInt32 {
    withUnsafeBytes { bytes in
      var sum = crc32(0, nil, 0)
      // zlib counts bytes by 32 bits.
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
        sum = crc32(sum, part.bindMemory(to: UInt8.self).baseAddress, UInt32(part.count))
        rest = rest.dropFirst(part.count)
      }
      return UInt32(truncatingIfNeeded: sum)
    }
  }
}
