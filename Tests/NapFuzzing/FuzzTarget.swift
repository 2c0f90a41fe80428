package import Foundation
import NapTensor

/// Something that reads files of others, tried with whatever bytes there are.
///
/// One file and one line in `all` for each; `./scripts/fuzz NAME MINUTES` looks for bytes on which it traps,
/// reads outside of memory, or fails with something else than a sentence, and the tests try what has been
/// found so far.
package struct FuzzTarget: Sendable {
  package let name: String
  /// Whether the bytes are an ONNX file's.
  package var readsModels = false
  /// Files to begin with.
  package let seeds: @Sendable () throws -> [Data]
  /// Reads a file of these bytes; there is nothing else in the folder.
  package let read: @Sendable (_ bytes: Data, _ folder: URL) throws -> Void

  package static let all: [FuzzTarget] = [
    .model, .engine, .externalData, .numPy, .numPyArchive, .arrays, .idx, .cifar10, .image,
    .latencyTable, .runDirectory, .checkpoint,
  ]

  package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }

  /// Reads bytes as the target does.
  ///
  /// - Returns: why they were refused; `nil` where they were taken.
  /// - Throws: what no user should see: an error that is no sentence.
  @discardableResult package func refusal(of bytes: Data, in folder: URL) throws -> String? {
    do {
      try read(bytes, folder)
      return nil
    } catch let error as any NapError {
      guard !error.problem.isEmpty else { throw Unexplained(target: name) }
      return error.problem
    }
  }

  struct Unexplained: Error { let target: String }
}

extension URL {
  /// A file in this folder with these bytes.
  func file(_ name: String, _ bytes: Data) throws -> String {
    let file = appending(path: name)
    try bytes.write(to: file)
    return file.path
  }
}
