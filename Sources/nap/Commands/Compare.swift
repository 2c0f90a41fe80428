import ArgumentParser
import Foundation
import NapKit
import NapReport
import NapTensor

struct Compare: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Prunes a network under several criteria and allocators, and shows what is left of its accuracy.",
    discussion: """
      Without --time or --epochs every job is one shot, without any training: that compares the \
      criteria alone. Accuracies are those of the test split.

      Examples:
        nap compare model.onnx --data DIR --preset cifar10 --criteria nap,taylor,l1 --macs 0.7,0.5
        nap compare model.onnx --data DIR --criteria nap,l1 --macs 0.5 --time 5m --plot curves.svg
        nap compare model.onnx --data DIR --criteria nap,l1 --allocators ranking,uniform,itpruner

      Criteria:
      \(Pruning.criteria.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))

      Allocators, which decide how wide layers are:
      \(Pruning.allocators.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
      """)

  @Argument(help: "The trained network, an ONNX file.", completion: .network)
  var model: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(
    help: ArgumentHelp("Criteria, separated by commas (default: all).", valueName: "names"),
    completion: .criteria)
  var criteria: String?

  @Option(
    help: ArgumentHelp(
      "What decides how wide layers are, separated by commas: \(Pruning.allocators.map(\.name).joined(separator: ", ")).",
      valueName: "names"),
    completion: .list(Pruning.allocators.map(\.name)))
  var allocators = Pruning.ranking

  @OptionGroup var allocationOptions: AllocationOptions

  @Option(
    help: ArgumentHelp(
      "Keep multiples of this many channels, such as 1: what costs the least for its size (default: by how many there are).",
      valueName: "channels"))
  var round: Int?

  @Option(
    help: ArgumentHelp(
      "Shares of the multiply-accumulates to keep, separated by commas.", valueName: "shares"))
  var macs = "0.7,0.5,0.3"

  @Option(
    help: ArgumentHelp("How long every single job may take, such as 5m.", valueName: "span"))
  var time: TimeSpan?

  @Option(help: "Epochs of fine-tuning in every job.")
  var epochs: Int?

  @Option(help: "Rounds in which channels are removed, with the curvature collected anew in each.")
  var rounds: Int?

  @Option(
    help: ArgumentHelp("Where to write a plot (SVG).", valueName: "file"),
    completion: .file(extensions: ["svg"]))
  var plot: String?

  @Flag(help: "Go on where the network does no better than guessing.")
  var allowChance = false

  @Option(help: "Same seed, same result.")
  var seed: UInt64 = 0

  @OptionGroup var runOptions: RunOptions

  @OptionGroup var outputsOptions: OutputsOptions

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  private var names: [String] {
    criteria?.split(separator: ",").map(String.init) ?? Pruning.criteria.map(\.name)
  }

  private var allocatorNames: [String] { allocators.split(separator: ",").map(String.init) }

  private var shares: [Double] {
    macs.split(separator: ",", omittingEmptySubsequences: false).map {
      Share(argument: String($0))?.value ?? -1
    }
  }

  func validate() throws {
    try Pruning.check(names, allocators: allocatorNames)
    guard shares.allSatisfy({ $0 > 0 && $0 < 1 }) else {
      throw ValidationError("--macs '\(macs)' is not a list of shares between 0 and 1")
    }
    if let round, !(1...1024).contains(round) {
      throw ValidationError("--round \(round) does not lie between 1 and 1024")
    }
    if epochs != nil, time != nil { throw ValidationError("give either --epochs or --time") }
    if let epochs, !(0...100_000).contains(epochs) {
      throw ValidationError("--epochs \(epochs) is out of range")
    }
    guard (1..<1000).contains(rounds ?? 1) else {
      throw ValidationError("--rounds must be positive")
    }
  }

  func run() throws {
    var pruning = Pruning(source: try dataOptions.source(for: model))
    let destination = try plot.map {
      try Destination($0, models: [model], others: [pruning.source.path])
    }
    pruning.epochs = time == nil ? epochs ?? 0 : nil
    pruning.seconds = time?.seconds
    pruning.seed = seed
    pruning.allowsChance = allowChance
    pruning.rounds = rounds
    pruning.multiple = round
    allocationOptions.apply(to: &pruning)
    pruning.outputs = try outputsOptions.choices()
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), for: pruning.source)
    let ending = try runOptions.ending(
      besides: plot ?? "\(FilePath(FilePath(model).name).stem)-compared.onnx", [("--plot", destination)],
      models: [model], inputs: [pruning.source.path, dataOptions.classes])
    let terminal = Terminal()
    func draw(_ report: ComparisonReport, _ path: String) throws {
      try AtomicFile.write(Data(report.renderedAsSVG().utf8), to: path)
    }
    let report: ComparisonReport
    do {
      report = try Comparison(
        pruning, criteria: names, allocators: allocatorNames, macs: shares
      ).run(
        network, in: ending.run, progress: outputOptions.progress(terminal))
    } catch let stopped as Comparison.Stopped {
      terminal.clear()
      try destination?.deliver {
        try draw(stopped.report, $0)
      } report: {
        try Terminal.print(stopped.report, asJSON: outputOptions.json)
      }
      if destination == nil { try Terminal.print(stopped.report, asJSON: outputOptions.json) }
      throw stopped.reason
    }
    terminal.clear()
    func finish() { ending.finish(report) }
    func show() throws { try ending.show(report, outputOptions) }
    guard let destination else {
      finish()
      return try show()
    }
    try destination.deliver(
      { try draw(report, $0) }, finish: finish, report: show)
  }
}
