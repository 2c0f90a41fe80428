import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Sensitivity: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows which channels matter, and how well criteria know it.",
    discussion: """
      Removes single channels one at a time, measures what that does to the network's outputs, and \
      compares it with what each criterion predicts: rank correlation 1 means that the criterion \
      knows the order. Nothing is written.

      Example:
        nap sensitivity model.onnx --data DIR --preset cifar10 --criteria nap,taylor,l1
      """)

  @Argument(help: "The trained network, an ONNX file.", completion: .network)
  var model: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(
    help: ArgumentHelp(
      "Criteria to look at, separated by commas (default: all).", valueName: "names"),
    completion: .criteria)
  var criteria: String?

  @Option(help: "Channels that are tried of each set that goes together.")
  var channelsPerSet = 8

  @Option(
    help: "Images the loss is measured on: of 32 times as many, those that have most to say.")
  var images = 512

  @Option(help: ArgumentHelp("Images the curvature is collected from.", visibility: .hidden))
  var curvatureImages: Int?

  @Option(help: "Same seed, same result.")
  var seed: UInt64 = 0

  @OptionGroup var runOptions: RunOptions

  @OptionGroup var outputsOptions: OutputsOptions

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    guard channelsPerSet > 0, images > 0 else {
      throw ValidationError("--channels-per-set and --images must be positive")
    }
    guard curvatureImages ?? 1 > 0 else {
      throw ValidationError("--curvature-images must be positive")
    }
    try Pruning.check(names)
  }

  private var names: [String] { criteria?.split(separator: ",").map(String.init) ?? [] }

  func run() throws {
    var analysis = SensitivityAnalysis(source: try dataOptions.source(for: model))
    analysis.criteria = names
    analysis.channelsPerSet = channelsPerSet
    analysis.images = images
    analysis.curvatureImages = curvatureImages
    analysis.seed = seed
    analysis.outputs = try outputsOptions.choices()
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), for: analysis.source)
    let ending = try runOptions.ending(
      besides: "\(FilePath(FilePath(model).name).stem)-sensitivity.onnx", [], models: [model],
      inputs: [analysis.source.path, dataOptions.classes])
    let terminal = Terminal()
    let report = try analysis.run(
      network, in: ending.run, progress: outputOptions.progress(terminal))
    terminal.clear()
    ending.finish(report)
    try ending.show(report, outputOptions)
  }
}
