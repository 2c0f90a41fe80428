import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Pick: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Takes another network from an earlier run.",
    discussion: """
      nap prune keeps every network that it has validated on its way in its run directory. They are listed, \
      the smallest first; with a size, the most accurate network of at most that size is written, with a number \
      that one. Sizes are shares of the original.

      Examples:
        nap prune model.onnx --data DIR -o smaller.onnx --max-drop 1
        nap pick smaller.run
        nap pick smaller.run --macs 40% -o another.onnx
        nap pick smaller.run --point 3 -o another.onnx

      Of nap prune --dynamic, other sizes are other thresholds of the same network.
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run"), completion: .folder)
  var directory: String

  @Option(name: [.short, .long], help: "Where to write the network (ONNX).", completion: .network)
  var output: String?

  @Option(
    help: ArgumentHelp("At most this share of the multiply-accumulates.", valueName: "share"))
  var macs: Share?

  @Option(
    help: ArgumentHelp(
      "At most this share of the parameters, zeros not counted.", valueName: "share"))
  var params: Share?

  @Option(help: ArgumentHelp("The one of this number, as its file has it.", valueName: "number"))
  var point: Int?

  @OptionGroup var keptOptions: KeptOptions

  @Flag(help: "Print exactly one JSON object on standard output.")
  var json = false

  func validate() throws {
    guard (macs == nil && params == nil && point == nil) == (output == nil) else {
      throw ValidationError(
        "give a size (--macs or --params) or a number (--point), and an output (-o), or none of these"
      )
    }
    if keptOptions.path != nil, output == nil { throw ValidationError("--kept needs -o") }
    if point != nil, macs != nil || params != nil {
      throw ValidationError("give either a size or --point")
    }
    try macs?.check("--macs", allowsWhole: true)
    try params?.check("--params", allowsWhole: true)
  }

  func run() throws {
    let directory = try RunDirectory(reading: self.directory)
    guard let output else {
      return try Terminal.print(directory.listed(), asJSON: json)
    }
    let destination = try Destination(output, models: [], others: [directory.path])
    let kept = try keptOptions.destination(
      besides: destination, models: [], inputs: [directory.path])
    let entry =
      try point.map { try directory.entry($0) }
      ?? directory.best(macs: macs?.value, parameters: params?.value)
      // Thresholds change what is computed, not what is stored.
      ?? (params == nil ? directory.dynamicEntry : nil)
    guard let entry else {
      throw OutputError(
        "no network of this run is that small",
        recovery: "nap pick \(directory.path) lists what there is")
    }
    // Of a network with gates there are as many as there are thresholds.
    let found = try directory.network(entry)
    let network = try macs.flatMap { try found.spending(macs: $0.value) } ?? found
    let keptProblem = try kept?.deliver(directory.kept(entry))
    try destination.deliver {
      try network.write(to: $0)
    } report: {
      try Terminal.print(directory.listed([entry]), asJSON: json)
      if let keptProblem { throw keptProblem }
    }
  }
}
