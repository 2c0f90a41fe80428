import Foundation
package import NapTensor

/// Tensors in the files of NumPy, `.npy` and `.npz`.
///
/// - Source: NEP 1, the NPY format; PKWARE's APPNOTE for the archive around it.
package enum NumPyFile {
  /// Reads an `.npy` file of numbers; whatever their type, floats become `float32` and integers
  /// `int64`.
  package static func read(_ path: String) throws(FileError) -> Tensor { try open(path).tensor }

  /// An `.npy` file, whose numbers stay where they are until they are asked for.
  package static func open(_ path: String) throws(FileError) -> NumPyArray {
    try NumPyArray(mapped(path), path: path)
  }

  /// The arrays of an `.npz` file, in the order of the file.
  package static func openArchive(_ path: String) throws(FileError) -> [(
    name: String, array: NumPyArray
  )] {
    let archive = try ZipArchive(mapped(path), path: path)
    var result: [(name: String, array: NumPyArray)] = []
    var names = Set<String>()
    for entry in archive.entries {
      let name = entry.name.hasSuffix(".npy") ? String(entry.name.dropLast(4)) : entry.name
      // Readers do not agree about which of them counts.
      guard names.insert(name).inserted else {
        throw .malformed(
          path: path, format: "npz",
          reason: "it holds more than one array '\(name)'; leave all but one out")
      }
      let content = try archive.content(of: entry)
      result.append((name, try NumPyArray(content, path: "\(path):\(entry.name)")))
    }
    return result
  }

  private static func mapped(_ path: String) throws(FileError) -> Data {
    do {
      return try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw .unreadable(
        path: path, reason: exists ? "no permission, or not a file" : "there is no such file")
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

  /// Arrays of an archive, and bytes of their names with the ending: it counts both in 16 bits.
  private static let most = Int(UInt16.max)

  /// Whether an `.npz` file can hold arrays of such names.
  package static func check(_ names: [String], for path: String) throws(FileError) {
    let longest = most - ".npy".utf8.count
    if let name = names.first(where: { $0.utf8.count > longest }) {
      throw .unwritable(
        path: path,
        reason:
          "the name of output '\(name.prefix(20))…' has \(name.utf8.count) bytes, and an npz file takes \(longest) at most; give the output a shorter one"
      )
    }
    guard names.count <= most else {
      throw .unwritable(
        path: path, reason: "an npz file takes \(most) arrays at most, not \(names.count)")
    }
  }

  /// Writes an `.npz` file, complete or not at all; the arrays are not compressed.
  package static func writeArchive(_ tensors: [(name: String, tensor: Tensor)], to path: String)
    throws(FileError)
  {
    try check(tensors.map { $0.name }, for: path)
    var archive = Data()
    var directory = Data()
    for (name, tensor) in tensors {
      let content = bytes(of: tensor)
      guard archive.count + content.count < 1 << 31 else {
        throw .unwritable(path: path, reason: "the outputs are too large for an npz file")
      }
      let checksum = content.checksum
      let file = Array("\(name).npy".utf8)
      // A name that is not ASCII is taken for UTF-8 only where that is said.
      let flags = file.allSatisfy { $0 < 0x80 } ? 0 : 1 << 11
      // Version 2.0, flags, stored, 1980-01-01.
      var entry = Data(little: [20, flags, 0, 0, 0x21], width: 2)
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
