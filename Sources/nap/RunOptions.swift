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
  ///   - others: where else the job writes, and the options that say it.
  ///   - models: networks that are read; `nil` are none.
  ///   - inputs: other files and folders that are read.
  func ending(
    besides output: String, _ others: [(option: String, file: Destination?)], models: [String?],
    inputs: [String?]
  ) throws -> JobEnding {
    let place = place(besides: output)
    var places = Places(files: [("--report", report)], run: place)
    for (option, file) in others { places.files.append((option, file?.path)) }
    try places.check()
    let page = try report.map { try Destination($0, models: models, others: inputs) }
    let read = (models + inputs).compactMap { $0 }
    return JobEnding(run: try directory(at: place, inputs: read), page: page, inputs: read)
  }

  /// That of the job which this process does; set by `nap resume` before the job is done again.
  nonisolated(unsafe) static var current: RunDirectory?

  /// Where the directory is; `nil` where nothing is kept.
  ///
  /// - Parameter output: what it is named after.
  private func place(besides output: String) -> String? {
    if keepsNothing { return nil }
    let file = FilePath(output)
    return Self.current?.path ?? path ?? file.sibling("\(file.stem).run")
  }

  /// The directory of a new job, or of that which goes on.
  ///
  /// - Parameter inputs: files and folders that are read.
  private func directory(at place: String?, inputs: [String]) throws -> RunDirectory? {
    guard let place else { return nil }
    if let current = Self.current { return current }
    var job = Job(
      arguments: Nap.arguments,
      inputs: inputs.filter { FileManager.default.fileExists(atPath: $0) })
    job.writesEvents = writesEvents
    let directory = try RunDirectory(creating: place, for: job, replacing: path == nil)
    Self.current = directory
    return directory
  }
}
