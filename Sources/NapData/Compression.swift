internal import CNapPNG
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

  /// The first bytes of what a gzip file holds, or all where those are fewer; `nil` where it is damaged.
  package init?(gzip path: String, upTo limit: Int) {
    guard let file = gzopen(path, "rb") else { return nil }
    defer { gzclose(file) }
    self.init()
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while count < limit {
      let read = gzread(file, &chunk, UInt32(chunk.count))
      guard read > 0 else {
        // A file that is cut off ends like a whole one, but for this.
        var status = Z_OK
        gzerror(file, &status)
        guard read == 0, status == Z_OK else { return nil }
        return
      }
      append(contentsOf: chunk.prefix(Swift.min(Int(read), limit - count)))
    }
  }
}
