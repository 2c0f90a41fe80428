import Foundation
import NapTensor

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
    guard let path = FilePath.named(location, in: folder) else {
      throw wrong("the location '\(location)', or a link there, leaves the folder of the model")
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

extension ONNXReader {
  /// Files that a network keeps weights in, beside its own.
  package static func externalFiles(of path: String) -> [String] {
    guard let model = try? ParsedModel.decode(path) else { return [] }
    let locations = model.graph.initializer.flatMap(\.externalData).filter { $0.key == "location" }
    return Set(locations.map(\.value)).sorted().map { FilePath(path).sibling($0) }
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
