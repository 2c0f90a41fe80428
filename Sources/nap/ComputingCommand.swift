import ArgumentParser
import NapKit

/// A command that computes.
protocol ComputingCommand: ParsableCommand {
  var threadOptions: ThreadOptions { get }
}

/// What it computes with.
struct ThreadOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Threads to compute with (default: OMP_NUM_THREADS, else as many processors as this process may use). Results depend on it in the last digits.",
      valueName: "count"))
  var threads: Int?

  func validate() throws {
    guard Runtime.threadRange.contains(threads ?? 1) else {
      let range = Runtime.threadRange
      throw ValidationError(
        "--threads must lie between \(range.lowerBound) and \(range.upperBound)")
    }
  }
}
