import ArgumentParser
import Foundation
import NapKit
import NapTensor

struct ShowReport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes the page about a job that is done.",
    discussion: """
      Every job leaves report.html in its run directory: one file to show, to print or to send. This makes it \
      again, or writes it elsewhere.

      Example:
        nap report half.run -o half.html
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run"), completion: .folder)
  var directory: String

  @Option(
    name: [.short, .long], help: "Where to write it (default: report.html in the run directory).",
    completion: .file(extensions: ["html"]))
  var output: String?

  func run() throws {
    let run = try RunDirectory(reading: directory)
    let destination = try Destination(output ?? FilePath.joined(directory, "report.html"))
    let page = try run.page()
    try destination.deliver {
      try AtomicFile.write(Data(page.utf8), to: $0)
    } report: {
      try Terminal.print("the report is in '\(destination.path)'")
    }
  }
}
