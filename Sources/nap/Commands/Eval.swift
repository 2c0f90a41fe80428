import ArgumentParser
import NapKit
import NapReport

struct Eval: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures loss and accuracy of a network on a data set.",
    discussion: """
      With --teacher, it is agreement with another network, output by output: of data without labels that \
      is what can be told.

      Examples:
        nap eval model.onnx --data DIR --preset cifar10
        nap eval small.onnx --teacher model.onnx --data photos.npy --preset plain
      """)

  @Argument(help: "The network, an ONNX file.", completion: .network)
  var model: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(
    help: ArgumentHelp(
      "A network (ONNX) to agree with, instead of labels: the one that the model was made from, say.",
      valueName: "file"), completion: .network)
  var teacher: String?

  @OptionGroup var outputsOptions: OutputsOptions

  @Option(
    help: "Which part of the data: test or train (default: test).",
    completion: .list(["test", "train"]))
  var split: String?

  @Option(
    help: "The numbers to compute in: float32, bfloat16, or auto (bfloat16 where it is fast).")
  var precision = Precision.float32

  @Option(help: "Images that go through the network at once.")
  var batchSize = 200

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (1...65_536).contains(batchSize) else {
      throw ValidationError("--batch-size must lie between 1 and 65536")
    }
    if teacher == nil, !outputsOptions.texts.isEmpty {
      throw ValidationError("--outputs says what is compared with a --teacher")
    }
  }

  func run() throws {
    var evaluation = Evaluation(
      source: try dataOptions.source(for: model), split: split, precision: precision, batchSize: batchSize)
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), for: evaluation.source)
    evaluation.teacher = try teacher.map { try Network(contentsOf: $0, like: network) }
    evaluation.outputs = try outputsOptions.choices()
    let terminal = Terminal()
    let report = try evaluation.run(network, progress: output.progress(terminal))
    terminal.clear()
    try Terminal.print(report, asJSON: output.json)
  }
}
