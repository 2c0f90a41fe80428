import ArgumentParser
import Foundation
import NapKit
import NapReport
import NapTensor

struct Profile: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what a network consists of, what it costs, and what may be removed.",
    discussion: """
      Examples:
        nap profile model.onnx
        nap profile model.onnx --time training --batch-size 128
        nap profile model.onnx --time inference --batch-size 1 --by-node
        nap profile model.onnx --latency-table times.csv

      With --time, GFLOP/s count the products of a convolution written out; Winograd's algorithm
      needs fewer, and may show more than the machine can do. Steps without a kernel are loops.
      """)

  @Argument(help: "The network, an ONNX file.", completion: .network)
  var model: String

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(help: "Measure instead where the time of a pass goes: inference, training or curvature.")
  var time: Timing.Mode?

  @Option(help: "With --time: the numbers to compute in: auto, float32 or bfloat16.")
  var precision = Precision.float32

  @Option(help: "With --time: images that go through the network at once.")
  var batchSize = 128

  @Option(
    help: ArgumentHelp(
      "With --time training or inference: data, as elsewhere, to tell how long passes wait for them.",
      valueName: "dir"), completion: .file())
  var data: String?

  @Option(
    help: ArgumentHelp("How the images of --data become numbers.", valueName: "preset"),
    completion: .presets)
  var preset: String?

  @Flag(help: "With --time: show every step of every node, not sums by kind of step.")
  var byNode = false

  @Option(
    help: ArgumentHelp(
      "Write how long a single image takes in every layer, at several widths (CSV), for nap prune --latency.",
      valueName: "file"), completion: .table)
  var latencyTable: String?

  @OptionGroup var threadOptions: ThreadOptions

  @Flag(help: "Print exactly one JSON object on standard output.")
  var json = false

  func validate() throws {
    guard (1...65_536).contains(batchSize) else {
      throw ValidationError("--batch-size must lie between 1 and 65536")
    }
    if data != nil, time != .training, time != .inference {
      throw ValidationError("--data needs --time training or --time inference")
    }
  }

  func run() throws {
    let shapes = try shapeOptions.shapes()
    var choices = DataSource.Choices()
    choices.preset = preset
    let source = try data.map { try DataSource(path: $0, choices, network: model) }
    let network =
      try source.map { try Network(contentsOf: model, inputShapes: shapes, for: $0) }
      ?? Network(contentsOf: model, inputShapes: shapes)
    if let latencyTable {
      let destination = try Destination(latencyTable, models: [model])
      let table = try Latency(measuring: network)
      try destination.deliver {
        try AtomicFile.write(Data(table.csv.utf8), to: $0)
      } report: {
      }
    }
    if let time {
      var timing = Timing(mode: time, precision: precision, batchSize: batchSize)
      timing.byNode = byNode
      timing.source = source
      let report = try timing.run(network)
      try Terminal.print(report, asJSON: json)
    } else {
      let report = try network.profile()
      try Terminal.print(report, asJSON: json)
    }
  }
}
