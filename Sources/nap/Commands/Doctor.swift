import ArgumentParser
import NapKit
import NapReport

struct Doctor: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks this machine: versions, kernels, threads, memory, whether results are right.",
    discussion: """
      Takes about half a minute. Exit status 1 where something is wrong; what is only slower than it \
      could be is said.
      """)

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let terminal = Terminal()
    let report = try NapKit.Doctor().run(progress: output.progress(terminal))
    terminal.clear()
    try Terminal.print(report, asJSON: output.json)
    if !report.isWell { throw ExitCode(1) }
  }
}
