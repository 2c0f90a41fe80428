import Foundation

/// Tensor data kept in files beside the model.
struct ExternalData {
  /// The folder of the model file.
  let folder: String

  func bytes(of proto: ONNXTensorProto, name: String) throws(ONNXError) -> Data {
    func wrong(_ problem: String) -> ONNXError { .externalData(tensor: name, problem: problem) }
    var entries: [String: String] = [:]
    for entry in proto.externalData { entries[entry.key] = entry.value }
    guard let location = entries["location"], !location.isEmpty else {
      throw wrong("the location is missing")
    }
    let leaves = location.hasPrefix("/") || location.split(separator: "/").contains("..")
    guard !leaves, !location.contains("\\"), !location.contains("\0") else {
      throw wrong("the location '\(location)' leaves the folder of the model")
    }
    func number(_ key: String) throws(ONNXError) -> Int? {
      guard let text = entries[key] else { return nil }
      guard let value = Int(text), value >= 0 else {
        throw wrong("the \(key) '\(text)' is not a size")
      }
      return value
    }
    let offset = try number("offset") ?? 0
    let length = try number("length")
    let path = folder.isEmpty ? location : folder + "/" + location
    let file: Data
    do {
      file = try mappedFile(path)
    } catch {
      throw wrong(error.problem)
    }
    guard offset <= file.count, (length ?? 0) <= file.count - offset else {
      throw wrong(
        "'\(path)' has \(file.count) bytes, but bytes \(offset) to "
          + "\(offset.addingReportingOverflow(length ?? 0).partialValue) are needed")
    }
    let start = file.startIndex + offset
    return file[start..<(length.map { start + $0 } ?? file.endIndex)]
  }
}

/// The contents of a regular file, mapped into memory where possible.
func mappedFile(_ path: String) throws(ONNXError) -> Data {
  let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
  let attributes: [FileAttributeKey: Any]
  do {
    attributes = try FileManager.default.attributesOfItem(atPath: resolved)
  } catch {
    throw .missingFile(path)
  }
  guard attributes[.type] as? FileAttributeType == .typeRegular else {
    throw .unreadableFile(path: path, reason: "it is not a file")
  }
  do {
    return try Data(contentsOf: URL(fileURLWithPath: resolved), options: .mappedIfSafe)
  } catch {
    throw .unreadableFile(path: path, reason: "no permission, or the disk does not answer")
  }
}
