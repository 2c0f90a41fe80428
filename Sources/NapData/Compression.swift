internal import CNapImages
package import Foundation

extension Data {
  /// Bytes that are left when they are compressed as gzip and zip do; `nil` where memory is short.
  package var compressedCount: Int? {
    var size = compressBound(uLong(count))
    guard let memory = malloc(Int(size)) else { return nil }
    defer { free(memory) }
    let status = withUnsafeBytes { bytes in
      compress2(
        memory.assumingMemoryBound(to: Bytef.self), &size,
        bytes.bindMemory(to: Bytef.self).baseAddress, uLong(count), Z_DEFAULT_COMPRESSION)
    }
    return status == Z_OK ? Int(size) : nil
  }
}
