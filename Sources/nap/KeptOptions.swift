import ArgumentParser
import NapKit
import NapTensor

/// Where to say what stayed of a network.
struct KeptOptions: ParsableArguments {
  @Option(
    name: .customLong("kept"),
    help: ArgumentHelp(
      "Where to write which indices of the original's parameters stayed, by name (.json), or which weights (.safetensors).",
      valueName: "file"), completion: .file(extensions: ["json", "safetensors"]))
  var path: String?

  func validate() throws { try check(hasMasks: false) }

  /// - Throws: where such a file cannot be written.
  func check(hasMasks: Bool) throws {
    do {
      if let path { try KeptIndices.check(path, hasMasks: hasMasks) }
    } catch let error as UsageError {
      throw ValidationError(error.description)
    }
  }

  /// `nil` where nothing is to be written.
  ///
  /// - Parameters:
  ///   - output: where the network goes.
  ///   - models: networks that are read; `nil` are none.
  ///   - inputs: other files and folders that are read.
  func destination(besides output: Destination, models: [String?], inputs: [String?]) throws
    -> Destination?
  {
    guard let path else { return nil }
    try Places(files: [("-o", output.path), ("--kept", path)]).check()
    return try Destination(path, models: models, others: inputs)
  }
}

extension Destination {
  /// Writes what stayed, elsewhere if need be.
  ///
  /// - Returns: what is wrong where it is elsewhere: to be thrown when all else is done.
  func deliver(_ kept: KeptIndices) throws -> OutputError? {
    let (place, problem): (String, (any Error)?) = try deliver { try kept.write(to: $0) }
    return problem.map { OutputError("\($0); what stayed is said in '\(place)' instead") }
  }
}
