internal import CNapImages
import Foundation
package import NapTensor

/// Tensors in the files of NumPy, `.npy` and `.npz`.
///
/// - Source: NEP 1, the NPY format; PKWARE's APPNOTE for the archive around it.
package enum NumPyFile {
  /// Reads an `.npy` file of numbers; whatever their type, floats become `float32` and integers
  /// `int64`.
  package static func read(_ path: String) throws(FileError) -> Tensor {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw .unreadable(
        path: path, reason: exists ? "no permission, or not a file" : "there is no such file")
    }
    return try Self.tensor([UInt8](data), path: path)
  }

  static func tensor(_ bytes: [UInt8], path: String) throws(FileError) -> Tensor {
    func malformed(_ reason: String) -> FileError {
      .malformed(path: path, format: "npy", reason: reason)
    }
    guard bytes.count >= 10, bytes.prefix(6) == [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] else {
      throw malformed("it does not begin with NumPy's mark")
    }
    let isLong = bytes[6] >= 2
    guard bytes.count >= 12 else { throw malformed("it ends too early") }
    let length =
      isLong
      ? Int(bytes[8]) | Int(bytes[9]) << 8 | Int(bytes[10]) << 16 | Int(bytes[11]) << 24
      : Int(bytes[8]) | Int(bytes[9]) << 8
    let start = (isLong ? 12 : 10) + length
    guard start <= bytes.count else { throw malformed("it ends too early") }
    let header = String(decoding: bytes[(isLong ? 12 : 10)..<start], as: UTF8.self)
    guard let description = header.firstMatch(of: /'descr':\s*'([<>|=]?)([a-z]\d+)'/),
      let order = header.firstMatch(of: /'fortran_order':\s*(True|False)/),
      let dimensions = header.firstMatch(of: /'shape':\s*\(([\d,\s]*)\)/)
    else { throw malformed("its header is not understood") }
    guard description.1 != ">" else { throw malformed("its numbers are big-endian") }
    let shape = dimensions.1.split(separator: ",")
      .compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    let type = String(description.2)
    guard let width = Int(type.dropFirst()),
      ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"].contains(type)
    else { throw malformed("numbers of type \(type) are not supported") }
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, product < 1 << 40 else {
        throw malformed("its shape \(shape) is impossible")
      }
      count = product
    }
    guard bytes.count - start == count * width else {
      throw malformed(
        "it holds \(bytes.count - start) bytes of numbers instead of \(count * width)")
    }
    let stored = order.1 == "True" ? Array(shape.reversed()) : shape
    let tensor = bytes.withUnsafeBytes {
      numbers(type, $0, start: start, count: count, shape: stored)
    }
    return order.1 == "True" ? tensor.reversingAxes() : tensor
  }

  private static func numbers(
    _ type: String, _ raw: UnsafeRawBufferPointer, start: Int, count: Int, shape: [Int]
  ) -> Tensor {
    func load<T: BitwiseCopyable>(_: T.Type, _ i: Int) -> T {
      raw.loadUnaligned(fromByteOffset: start + i * MemoryLayout<T>.size, as: T.self)
    }
    func integers<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) -> Tensor {
      Tensor(shape: shape, integers: (0..<count).map { Int64(load(T.self, $0)) })
    }
    switch type {
    case "f4": return Tensor(shape: shape, floats: (0..<count).map { load(Float.self, $0) })
    case "f8": return Tensor(shape: shape, floats: (0..<count).map { Float(load(Double.self, $0)) })
    case "i1": return integers(Int8.self)
    case "i2": return integers(Int16.self)
    case "i4": return integers(Int32.self)
    case "i8": return integers(Int64.self)
    default: return integers(UInt8.self)
    }
  }

  /// The bytes of an `.npy` file.
  static func bytes(of tensor: Tensor) -> Data {
    let type = tensor.isFloat ? "<f4" : "<i8"
    let shape =
      tensor.shape.map(String.init).joined(separator: ", ") + (tensor.shape.count == 1 ? "," : "")
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(shape)), }"
    let padding = 64 - (10 + header.utf8.count + 1) % 64
    header += String(repeating: " ", count: padding % 64) + "\n"
    var data = Data([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
    data.append(contentsOf: [UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)])
    data.append(contentsOf: header.utf8)
    tensor.isFloat
      ? tensor.floats.withUnsafeBytes { data.append(contentsOf: $0) }
      : tensor.integers.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }

  /// Writes an `.npy` file, complete or not at all.
  package static func write(_ tensor: Tensor, to path: String) throws(FileError) {
    try AtomicFile.write(bytes(of: tensor), to: path)
  }

  /// Reads the arrays of an `.npz` file, in the order of the file.
  package static func readArchive(_ path: String) throws(FileError) -> [(
    name: String, tensor: Tensor
  )] {
    func malformed(_ reason: String) -> FileError {
      .malformed(path: path, format: "npz", reason: reason)
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadable(path: path, reason: "there is no such file, or no permission")
    }
    let bytes = [UInt8](data)
    func number(_ at: Int, _ width: Int) -> Int {
      (0..<width).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
    }
    let end = (0...max(0, bytes.count - 22)).reversed().first {
      $0 + 22 <= bytes.count && number($0, 4) == 0x0605_4b50
    }
    guard let end else { throw malformed("it is not a zip archive, or is cut off") }
    var entry = number(end + 16, 4)
    var result: [(name: String, tensor: Tensor)] = []
    for _ in 0..<number(end + 10, 2) {
      guard entry + 46 <= bytes.count, number(entry, 4) == 0x0201_4b50 else {
        throw malformed("its directory is damaged")
      }
      let (method, packed, size) = (
        number(entry + 10, 2), number(entry + 20, 4), number(entry + 24, 4)
      )
      let lengths = [28, 30, 32].map { number(entry + $0, 2) }
      let header = number(entry + 42, 4)
      guard entry + 46 + lengths[0] <= bytes.count, header + 30 <= bytes.count else {
        throw malformed("its directory is damaged")
      }
      let name = String(decoding: bytes[(entry + 46)..<(entry + 46 + lengths[0])], as: UTF8.self)
      let start = header + 30 + number(header + 26, 2) + number(header + 28, 2)
      guard start + packed <= bytes.count else { throw malformed("'\(name)' is cut off") }
      let content = Array(bytes[start..<start + packed])
      let plain: [UInt8]?
      switch method {
      case 0: plain = content
      case 8: plain = inflated(content, size)
      default: throw malformed("'\(name)' is compressed in an unknown way")
      }
      guard let plain, plain.count == size else { throw malformed("'\(name)' is damaged") }
      let stem = name.hasSuffix(".npy") ? String(name.dropLast(4)) : name
      result.append((stem, try tensor(plain, path: "\(path):\(name)")))
      entry += 46 + lengths.reduce(0, +)
    }
    return result
  }

  /// What a raw deflate stream holds; `nil` where it is damaged.
  private static func inflated(_ content: [UInt8], _ size: Int) -> [UInt8]? {
    var source = content
    var result = [UInt8](repeating: 0, count: size)
    var stream = z_stream()
    let version = ZLIB_VERSION
    guard inflateInit2_(&stream, -15, version, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      return nil
    }
    defer { inflateEnd(&stream) }
    return source.withUnsafeMutableBufferPointer { source in
      result.withUnsafeMutableBufferPointer { target in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = target.baseAddress
        stream.avail_out = UInt32(target.count)
        return inflate(&stream, Z_FINISH) == Z_STREAM_END
      }
    } ? result : nil
  }

  /// Writes an `.npz` file, complete or not at all; the arrays are not compressed.
  package static func writeArchive(_ tensors: [(name: String, tensor: Tensor)], to path: String)
    throws(FileError)
  {
    var archive = Data()
    var directory = Data()
    for (name, tensor) in tensors {
      let content = bytes(of: tensor)
      guard archive.count + content.count < 1 << 31 else {
        throw .unwritable(path: path, reason: "the outputs are too large for an npz file")
      }
      let checksum = content.withUnsafeBytes {
        crc32(0, $0.bindMemory(to: UInt8.self).baseAddress, UInt32(content.count))
      }
      let file = Array("\(name).npy".utf8)
      // Version 2.0, no flags, stored, 1980-01-01.
      var entry = Data(little: [20, 0, 0, 0, 0x21], width: 2)
      entry += Data(little: [Int(checksum), content.count, content.count], width: 4)
      entry += Data(little: [file.count, 0], width: 2)
      directory += Data(little: [0x0201_4b50], width: 4) + Data(little: [20], width: 2) + entry
      directory +=
        Data(little: [0, 0, 0], width: 2) + Data(little: [0, archive.count], width: 4) + Data(file)
      archive += Data(little: [0x0403_4b50], width: 4) + entry + Data(file) + content
    }
    var end = Data(little: [0x0605_4b50], width: 4)
    end += Data(little: [0, 0, tensors.count, tensors.count], width: 2)
    end += Data(little: [directory.count, archive.count], width: 4) + Data(little: [0], width: 2)
    try AtomicFile.write(archive + directory + end, to: path)
  }
}

extension Data {
  /// Numbers of some bytes each, the lowest first.
  fileprivate init(little numbers: [Int], width: Int) {
    self.init(numbers.flatMap { number in (0..<width).map { UInt8(number >> (8 * $0) & 255) } })
  }
}

extension Tensor {
  /// The tensor with its axes in the opposite order.
  fileprivate func reversingAxes() -> Tensor {
    let target = Array(shape.reversed())
    let strides = Array(shape.rowMajorStrides.reversed())
    func moved<T>(_ source: [T]) -> [T] {
      (0..<count).map { position in
        var (rest, index) = (position, 0)
        for axis in target.indices.reversed() {
          index += rest % target[axis] * strides[axis]
          rest /= target[axis]
        }
        return source[index]
      }
    }
    return isFloat
      ? Tensor(shape: target, floats: moved(floats))
      : Tensor(shape: target, integers: moved(integers))
  }
}
