import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Proxies: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows how well networks are known before they are trained.",
    discussion: """
      Makes networks of random widths that cost the same, fine-tunes each alike, and compares their \
      accuracies on held-out images with what was known before: NAP's predicted loss, and the loss with \
      weights from every provider that the allocator metapruning has. Nothing is written.

      Example:
        nap proxies model.onnx --data DIR --preset cifar10 --macs 0.5 --structures 24 --epochs 3
      """)

  @Argument(help: "The trained network, an ONNX file.", completion: .network)
  var model: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(
    help: ArgumentHelp(
      "The share of the multiply-accumulates that the networks have.", valueName: "share"))
  var macs = Share(value: 0.5)

  @Option(help: "How many networks.")
  var structures = 24

  @Option(help: "Epochs of fine-tuning each of them.")
  var epochs = 3

  @Flag(help: "Go on where the network does no better than guessing.")
  var allowChance = false

  @Option(help: "Same seed, same result.")
  var seed: UInt64 = 0

  @OptionGroup var engineOptions: EngineOptions

  @OptionGroup var runOptions: RunOptions

  @OptionGroup var outputsOptions: OutputsOptions

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    try macs.check("--macs")
    guard (2...10_000).contains(structures) else {
      throw ValidationError("--structures \(structures) does not lie between 2 and 10000")
    }
    guard (1...100_000).contains(epochs) else {
      throw ValidationError("--epochs \(epochs) is out of range")
    }
  }

  func run() throws {
    var pruning = Pruning(source: try dataOptions.source(for: model))
    pruning.seed = seed
    pruning.allowsChance = allowChance
    pruning.precision = engineOptions.precision
    pruning.savesMemory = engineOptions.saveMemory
    pruning.outputs = try outputsOptions.choices()
    var study = ProxyStudy(pruning)
    study.macs = macs.value
    study.structures = structures
    study.epochs = epochs
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), for: pruning.source)
    let ending = try runOptions.ending(
      besides: "\(FilePath(FilePath(model).name).stem)-proxies.onnx", [], models: [model],
      inputs: [pruning.source.path, dataOptions.classes])
    let terminal = Terminal()
    let report = try study.run(
      network, in: ending.run, progress: outputOptions.progress(terminal))
    terminal.clear()
    ending.finish(report)
    try ending.show(report, outputOptions)
  }
}
