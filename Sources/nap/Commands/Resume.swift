import ArgumentParser
import Foundation
import NapKit
import NapTensor

struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Goes on with a job that was stopped.",
    discussion: """
      train, prune, compare and sensitivity keep what they have done in a run directory, beside their \
      output or where --run says. Whatever stopped one, this goes on where it was; model and data must \
      be what they were. On the same machine, a job whose length is given in epochs ends with the very \
      same network as if nothing had happened; of --time, what was spent counts.

      Example:
        nap prune model.onnx --data DIR -o half.onnx --macs 0.5
        nap resume half.run
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run"), completion: .folder)
  var directory: String

  func run() throws {
    // The job is done in the folder that it was given in.
    let path = FilePath(directory).resolved ?? directory
    if try RunDirectory(reading: path).job?.isDone == true {
      _ = try? RunDirectory(resuming: path)
      return Terminal.write(
        "nap: the job of '\(directory)' is done; nap pick \(directory) lists its networks")
    }
    let run = try RunDirectory(resuming: path)
    guard let job = run.job else { return }
    guard FileManager.default.changeCurrentDirectoryPath(job.folder) else {
      throw UsageError("the folder '\(job.folder)', in which the job was begun, is not there")
    }
    if let data = job.environment["NAP_DATA"] { setenv("NAP_DATA", data, 1) }
    var command = try Nap.parseAsRoot(job.arguments)
    guard let computing = command as? any ComputingCommand, !(command is Resume) else {
      throw UsageError("'\(path)' is not the directory of a job that can go on")
    }
    Runtime.prepare(threads: computing.threadOptions.threads ?? job.threads)
    if job.nap != Runtime.versionWithCommit || job.libraries != Runtime.libraries {
      Terminal.write(
        "begun by nap \(job.nap) with \(job.libraries.joined(separator: ", ")): the result may differ a little"
      )
    }
    RunOptions.current = run
    try command.run()
  }
}
