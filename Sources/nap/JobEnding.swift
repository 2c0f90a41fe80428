import Foundation
import NapKit
import NapReport
import NapTensor

/// What a job leaves beside its result.
struct JobEnding {
  /// `nil` where nothing is kept.
  var run: RunDirectory?
  /// Where the page about it goes, too.
  var page: Destination?
  /// What is read, for the page.
  var inputs: [String]

  /// The result is in its place.
  func finish(_ report: some PagedReport) { run?.finish(report) }

  /// Prints the report, writes the page where one was asked for, and says what is kept.
  ///
  /// - Throws: when one of them cannot be written; the result and the run directory are done by then.
  func show(_ report: some PagedReport, _ options: OutputOptions) throws {
    try Terminal.print(report, asJSON: options.json)
    if let run, !options.quiet {
      let bytes = abbreviated(run.keptBytes)
      Terminal.write("kept: \(bytes)\(bytes.contains(" ") ? "B" : " B") in '\(run.path)'")
    }
    guard let page else { return }
    let html =
      run?.page(report) ?? RunDirectory.page(report, Job(arguments: Nap.arguments, inputs: inputs))
    try page.deliver {
      try AtomicFile.write(Data(html.utf8), to: $0)
    } report: {
    }
  }
}
