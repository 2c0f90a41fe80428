import ArgumentParser
import Foundation
import NapKit
import NapTensor

@main
struct Nap: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nap",
    abstract: "Makes trained neural networks smaller and faster.",
    discussion: """
      nap takes a trained network (ONNX) and data, finds out by second-order theory which weights \
      or channels the network can do without, removes them, fine-tunes, and writes a smaller \
      network (ONNX).

      The main job, in one line:
        nap prune model.onnx --data DIR --preset cifar10 -o smaller.onnx

      Results go to standard output, everything else to standard error. Exit status: 0 done, \
      1 failed, 2 wrong usage, 130 interrupted.
      """,
    version: "nap \(Runtime.versionWithCommit)\n\(Runtime.libraries.joined(separator: ", "))",
    subcommands: [
      Prune.self, Resume.self, ShowReport.self, Pick.self, Compare.self, Sensitivity.self, Proxies.self,
      Train.self, Eval.self, Run.self,
      InspectData.self, Profile.self, Operators.self, Doctor.self,
    ])

  /// What this process was asked for, the settings of a file among them.
  nonisolated(unsafe) static var arguments = Array(CommandLine.arguments.dropFirst())

  static func main() {
    Restart.withShortWaits()
    Interruption.install()
    do {
      try checkCommand()
      arguments = try ConfigurationFile.expanded(arguments)
      if let settings = try ConfigurationFile.printed(arguments) {
        return try Terminal.print(settings)
      }
      var command = try parseAsRoot(arguments)
      if let computing = command as? any ComputingCommand {
        Runtime.prepare(threads: computing.threadOptions.threads)
      }
      try command.run()
    } catch {
      let error = (error as? WorkStopped)?.reason ?? error
      let status = status(of: error)
      if let run = RunOptions.current, run.canGoOn(), (error as? any NapError)?.isFinal != true {
        Terminal.write("nap: what is done is kept; go on with: nap resume \(run.path)")
      }
      Foundation.exit(status)
    }
  }

  /// - Throws: `UsageError` where the first argument is no command.
  private static func checkCommand() throws {
    let names = configuration.subcommands.map { $0._commandName } + ["help"]
    guard let first = CommandLine.arguments.dropFirst().first, !first.hasPrefix("-"),
      !names.contains(first)
    else { return }
    throw UsageError(noSuch: "command", first, of: names)
  }

  /// Words the error and chooses the exit status.
  private static func status(of error: any Error) -> Int32 {
    switch error {
    case let interruption as Interruption:
      Terminal.write("nap: \(interruption.sentence)")
      return 130
    // What there was to say has been said.
    case let code as ExitCode: return code.rawValue
    case let error as UsageError:
      Terminal.write("nap: \(error.description)")
      return 2
    case let error as any NapError:
      Terminal.write("nap: \(error.description)")
      return 1
    default:
      if let error = SystemError(error) {
        Terminal.write("nap: \(error.description)")
        return 1
      }
      let code = exitCode(for: error)
      if code == .success {
        return (try? Terminal.print(fullMessage(for: error))) == nil ? 1 : 0
      }
      let message = fullMessage(for: error)
      let mark = "Error: "
      Terminal.write(
        message.hasPrefix(mark) ? "nap: " + message.dropFirst(mark.count) : message)
      return code == .validationFailure ? 2 : 1
    }
  }
}
