internal import CNapPNG
import Foundation
import NapTensor

/// The files in a zip archive, such as the arrays in an `.npz` file.
///
/// - Source: PKWARE's APPNOTE; without encryption, several volumes, and files of 4 GiB and more.
struct ZipArchive {
  struct Entry {
    var name: String
    fileprivate var method: Int
    fileprivate var packed: Data
    /// Bytes of the file when it is unpacked.
    var size: Int
  }

  private let path: String
  let entries: [Entry]

  private static func malformed(_ path: String, _ reason: String) -> FileError {
    .malformed(path: path, format: "npz", reason: reason)
  }

  /// - Parameter path: what to call it in errors.
  init(_ data: Data, path: String) throws(FileError) {
    self.path = path
    let data = data[...]
    func number(_ at: Int, _ width: Int) -> Int? {
      guard at >= 0, at + width <= data.count else { return nil }
      return (0..<width).reduce(0) { $0 | Int(data[data.startIndex + at + $1]) << (8 * $1) }
    }
    func part(_ start: Int, _ count: Int) -> Data? {
      guard start >= 0, start + count <= data.count else { return nil }
      return data.dropFirst(start).prefix(count)
    }
    // The directory's end is followed by a comment of at most 64 KiB.
    let end = (max(0, data.count - 22 - 65_535)..<max(0, data.count - 21)).reversed().first {
      number($0, 4) == 0x0605_4b50
    }
    guard let end, let count = number(end + 10, 2), var entry = number(end + 16, 4) else {
      throw Self.malformed(path, "it is not a zip archive, or is cut off")
    }
    var entries: [Entry] = []
    for _ in 0..<count {
      guard number(entry, 4) == 0x0201_4b50, let method = number(entry + 10, 2),
        let packed = number(entry + 20, 4), let size = number(entry + 24, 4),
        let nameLength = number(entry + 28, 2), let extra = number(entry + 30, 2),
        let comment = number(entry + 32, 2), let header = number(entry + 42, 4),
        let name = part(entry + 46, nameLength),
        let local = number(header + 26, 2), let localExtra = number(header + 28, 2)
      else { throw Self.malformed(path, "its directory is damaged") }
      let text = String(decoding: name, as: UTF8.self)
      guard let content = part(header + 30 + local + localExtra, packed) else {
        throw Self.malformed(path, "'\(text)' is cut off, or too large for this kind of archive")
      }
      entries.append(Entry(name: text, method: method, packed: content, size: size))
      entry += 46 + nameLength + extra + comment
    }
    self.entries = entries
  }

  /// What a file holds.
  func content(of entry: Entry) throws(FileError) -> Data {
    let content: Data?
    switch entry.method {
    case 0: content = entry.packed
    case 8:
      // No stream of this kind unpacks to more: whatever the directory says, nothing else is believed.
      guard entry.size <= 1032 * entry.packed.count + 1024 else { fallthrough }
      do {
        try Memory.check(entry.size, for: "'\(entry.name)' of '\(path)'")
      } catch {
        throw FileError.unreadable(path: path, reason: error.problem)
      }
      content = inflated(entry)
    default: content = nil
    }
    guard let content, content.count == entry.size else {
      throw Self.malformed(path, "'\(entry.name)' is damaged, or compressed in an unknown way")
    }
    return content
  }

  /// What a raw deflate stream holds; `nil` where it is damaged.
  private func inflated(_ entry: Entry) -> Data? {
    var result = Data(count: entry.size)
    var stream = z_stream()
    let version = ZLIB_VERSION
    guard inflateInit2_(&stream, -15, version, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      return nil
    }
    defer { inflateEnd(&stream) }
    let status = entry.packed.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        stream.next_in = UnsafeMutablePointer(
          mutating: source.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(source.count)
        stream.next_out = target.bindMemory(to: UInt8.self).baseAddress
        stream.avail_out = UInt32(target.count)
        return inflate(&stream, Z_FINISH)
      }
    }
    return status == Z_STREAM_END && stream.total_out == entry.size ? result : nil
  }
}
