import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Pick: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Takes another network from an earlier run.",
    discussion: """
      nap prune --run DIR keeps every network that it has validated on its way. Without a size, they \
      are listed; with one, the most accurate network of at most that size is written. Sizes are \
      shares of the original.

      Examples:
        nap prune model.onnx --data DIR -o smaller.onnx --max-drop 1 --run night
        nap pick night
        nap pick night --macs 0.4 -o another.onnx
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run"), completion: .folder)
  var directory: String

  @Option(name: [.short, .long], help: "Where to write the network (ONNX).", completion: .network)
  var output: String?

  @Option(
    help: ArgumentHelp("At most this share of the multiply-accumulates.", valueName: "share"))
  var macs: Double?

  @Option(
    help: ArgumentHelp(
      "At most this share of the parameters, zeros not counted.", valueName: "share"))
  var params: Double?

  @Flag(help: "Print exactly one JSON object on standard output.")
  var json = false

  func validate() throws {
    guard (macs == nil && params == nil) == (output == nil) else {
      throw ValidationError("give a size (--macs or --params) and an output (-o), or neither")
    }
    for (value, option) in [(macs, "--macs"), (params, "--params")] {
      if let value, !(value > 0 && value <= 1) {
        throw ValidationError("\(option) \(value) does not lie between 0 and 1")
      }
    }
  }

  func run() throws {
    let directory = try RunDirectory(reading: self.directory)
    guard let output else {
      let report = PointsReport(points: directory.entries.map(\.point))
      try Terminal.print(report, asJSON: json)
      return
    }
    let destination = try Destination(output, models: [], others: [directory.path])
    guard let entry = directory.best(macs: macs, parameters: params) else {
      throw OutputError(
        "no network of this run is that small",
        recovery: "nap pick \(directory.path) lists what there is")
    }
    let network = try directory.network(entry)
    try destination.deliver {
      try network.write(to: $0)
    } report: {
      let report = PointsReport(points: [entry.point])
      try Terminal.print(report, asJSON: json)
    }
  }
}
