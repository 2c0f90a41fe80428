import ArgumentParser
import Foundation
import NapKit
import NapTensor

/// Where a job keeps what it has done.
struct RunOptions: ParsableArguments {
  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "The directory for log, metrics, networks on the way and what is needed to go on (default: beside the output, its name with .run).",
      valueName: "dir"), completion: .folder)
  var path: String?

  @Flag(name: .customLong("no-run"), help: "Keep nothing of the job but its result.")
  var keepsNothing = false

  @Option(
    help: ArgumentHelp(
      "Where to write the page about the job, too: one file to show or to send.",
      valueName: "file"), completion: .file(extensions: ["html"]))
  var report: String?

  @Option(
    help: ArgumentHelp(
      "A file of settings (YAML): long names of options with their values. What is given beside it wins.",
      valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
  var config: String?

  @Flag(help: "Print the settings that are in force, as such a file, and do nothing.")
  var printConfig = false

  @Flag(
    name: .customLong("tensorboard"),
    help: "Write what is measured for TensorBoard, too, in the run directory.")
  var writesEvents = false

  func validate() throws {
    if writesEvents, keepsNothing { throw ValidationError("--tensorboard needs a run directory") }
    if path != nil, keepsNothing { throw ValidationError("give either --run or --no-run") }
  }

  /// What the job is to leave; its run directory is that of a new job, or of that which goes on.
  ///
  /// - Parameters:
  ///   - output: what the directory is named after.
  ///   - others: where else the job writes.
  ///   - models: networks that are read; `nil` are none.
  ///   - inputs: other files and folders that are read.
  func ending(
    besides output: String, _ others: [Destination?], models: [String?], inputs: [String?]
  ) throws -> JobEnding {
    let destination = try report.map { page in
      let destination = try Destination(page, models: models, others: inputs)
      if others.contains(where: { $0?.target == destination.target }) {
        throw UsageError(
          "--report names the file '\(page)', which something else is written to",
          recovery: "give another name")
      }
      return destination
    }
    let read = (models + inputs).compactMap { $0 }
    return JobEnding(
      run: try directory(besides: output, inputs: read), page: destination, inputs: read)
  }

  /// That of the job which this process does; set by `nap resume` before the job is done again.
  nonisolated(unsafe) static var current: RunDirectory?

  /// The directory of a new job, or of that which goes on.
  ///
  /// - Parameters:
  ///   - output: what it is named after.
  ///   - inputs: files and folders that are read.
  private func directory(besides output: String, inputs: [String]) throws -> RunDirectory? {
    if keepsNothing { return nil }
    if let current = Self.current { return current }
    let file = FilePath(output)
    var job = Job(
      arguments: Nap.arguments,
      inputs: inputs.filter { FileManager.default.fileExists(atPath: $0) })
    job.writesEvents = writesEvents
    let directory = try RunDirectory(
      creating: path ?? file.sibling("\(file.stem).run"), for: job, replacing: path == nil)
    Self.current = directory
    return directory
  }
}
