public import Foundation
import NapReport
import NapTensor

/// What was asked for, where, and with what: enough to ask for it again.
public struct Job: Codable, Sendable {
  /// Something that is read: a file, or a folder.
  public struct Input: Codable, Sendable, Equatable {
    public var path: String
    public var bytes: Int
    /// Of a file SHA-256; of a folder the same over names, sizes and beginnings of its files.
    public var sha256: String
  }

  /// The arguments of the command, its name the first.
  public var arguments: [String]
  /// Where it was given.
  public var folder: String
  /// What was set in the environment of what the job depends on.
  public var environment: [String: String]
  public var inputs: [Input]
  public var nap = Runtime.versionWithCommit
  public var libraries = Runtime.libraries
  public var threads = Runtime.threads
  public var processor = Processors.model ?? "unknown"
  public var system = ProcessInfo.processInfo.operatingSystemVersionString
  public var started = Date()
  public var isDone = false
  /// Whether what is measured is written for TensorBoard, too.
  public var writesEvents: Bool?
  /// Of the network that is pruned, on held-out examples; in percent.
  public var accuracyBefore: Double?

  /// - Parameters:
  ///   - arguments: of the command, its name the first.
  ///   - inputs: files and folders that it reads.
  public init(arguments: [String] = [], inputs: [String] = []) {
    self.arguments = arguments
    folder = FileManager.default.currentDirectoryPath
    environment = ProcessInfo.processInfo.environment.filter { name, _ in
      ["NAP_", "OMP_", "GOMP_", "ONEDNN_", "OPENBLAS_"].contains { name.hasPrefix($0) }
    }
    self.inputs = inputs.map(Input.init)
  }

  /// As it is typed.
  public var command: String {
    (["nap"] + arguments).map { argument in
      let isPlain = argument.allSatisfy { $0.isLetter || $0.isNumber || "-_./=:,+@%*".contains($0) }
      return isPlain && !argument.isEmpty
        ? argument : "'" + argument.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }.joined(separator: " ")
  }

  /// With what, on what, and when.
  var circumstances: [(name: String, value: String)] {
    var facts = [("begun", started.formatted(.iso8601)), ("in", folder)]
    facts += inputs.map { input in
      (
        "read",
        input.sha256.isEmpty
          ? input.path : "\(input.path), \(abbreviated(input.bytes)) bytes, SHA-256 \(input.sha256)"
      )
    }
    facts += [
      ("nap", nap), ("libraries", libraries.joined(separator: ", ")),
      ("threads", String(threads)), ("processor", processor), ("system", system),
    ]
    return facts + environment.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// - Throws: `UsageError` when an input is not what it was.
  func checkInputs() throws {
    for input in inputs where Input(input.path) != input {
      throw UsageError(
        "'\(input.path)' is not what it was when the job began",
        recovery: "put back what was there, or begin again")
    }
  }
}

extension Job.Input {
  /// Of what cannot be read, no bytes.
  init(_ path: String) {
    self.path =
      FilePath(path).isAbsolute
      ? path : FilePath.joined(FileManager.default.currentDirectoryPath, path)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      (bytes, sha256) = (0, "")
      return
    }
    guard isFolder.boolValue else {
      bytes = Self.bytes(path)
      sha256 = Self.isRegular(path) ? SHA256.digits(ofFile: path) ?? "" : ""
      return
    }
    var (hash, sum) = (SHA256(), 0)
    let files = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    // Not what jobs write.
    let read = files.filter { name in
      !name.hasSuffix(".onnx") && !name.split(separator: "/").contains { $0.hasSuffix(".run") }
    }
    for (index, name) in read.sorted().enumerated() {
      let file = "\(path)/\(name)"
      let size = Self.bytes(file)
      sum += size
      hash.add("\(name) \(size)\n".utf8)
      guard index < Self.mostFiles, Self.isRegular(file),
        let handle = FileHandle(forReadingAtPath: file)
      else { continue }
      hash.add((try? handle.read(upToCount: Self.beginning)) ?? Data())
    }
    (bytes, sha256) = (sum, hash.digits)
  }

  /// Opening a pipe would wait for whoever writes to it.
  private static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  private static func bytes(_ path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return attributes?[.size] as? Int ?? 0
  }

  /// Of a folder, files that are looked into, and how far.
  private static let mostFiles = 256
  private static let beginning = 1 << 16
}
