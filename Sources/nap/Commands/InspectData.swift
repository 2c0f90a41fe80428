import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct InspectData: ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Shows what nap understands of a data set, and whether a network fits it.",
    discussion: """
      Examples, classes, shapes, and the numbers that reach the network. With a network, also what its \
      outputs learn; exit status 1 where the two do not fit.

      Examples:
        nap data photos/
        nap data photos/ model.onnx --preset imagenet --sheet photos.png
        nap data readings.npz model.onnx
      """)

  @Argument(help: "The data, as after --data.", completion: .file())
  var path: String

  @Argument(help: "A network, an ONNX file.", completion: .network)
  var model: String?

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @OptionGroup var outputsOptions: OutputsOptions

  @Option(
    help: ArgumentHelp("Where to write a picture of some images, class by class.", valueName: "png"),
    completion: .file(extensions: ["png"]))
  var sheet: String?

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if dataOptions.data != nil { throw ValidationError("the data is the first argument, not --data") }
  }

  func run() throws {
    var options = dataOptions
    options.data = path
    var inspection = DataInspection(source: try options.source(for: model))
    inspection.outputs = try outputsOptions.choices()
    let destination = try sheet.map { try Destination($0, models: [model], others: [path]) }
    let network = try model.map {
      try Network(contentsOf: $0, inputShapes: try shapeOptions.shapes(), for: inspection.source)
    }
    let (report, picture) = try inspection.run(network)
    if let destination {
      guard let picture else {
        throw OutputError("the examples are no images: there is nothing to show")
      }
      try destination.deliver { try AtomicFile.write(picture, to: $0) } report: {}
    }
    try Terminal.print(report, asJSON: outputOptions.json)
    if report.misfit != nil { throw ExitCode(1) }
  }
}
