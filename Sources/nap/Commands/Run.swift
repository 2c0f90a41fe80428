import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Run: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs a network on arrays and writes its outputs.",
    discussion: "Example: nap run model.onnx --input image=x.npy --output out.npz")

  @Argument(help: "The network, an ONNX file.", completion: .network)
  var model: String

  @Option(
    name: .customLong("input"), parsing: .singleValue,
    help: ArgumentHelp("An input, as a NumPy file (may be repeated).", valueName: "name=file.npy"),
    completion: .file())
  var inputs: [String] = []

  @Option(
    name: [.short, .long], help: ArgumentHelp("Where to write the outputs.", valueName: "file.npz"),
    completion: .file(extensions: ["npz"]))
  var output: String

  @Option(
    help: "The numbers to compute in: float32, bfloat16, or auto (bfloat16 where it is fast).")
  var precision = Precision.float32

  @OptionGroup var shapeOptions: ShapeOptions

  @OptionGroup var threadOptions: ThreadOptions

  func run() throws {
    var files: [String: String] = [:]
    for text in inputs {
      let parts = text.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else {
        throw ValidationError("'\(text)' is not of the form name=file.npy")
      }
      files[String(parts[0])] = String(parts[1])
    }
    _ = try Destination(output, models: [model], others: files.values.sorted())
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), forArrays: files)
    let outputs = try Inference(precision: precision).run(network, inputs: files, output: output)
    for (name, shape, notFinite) in outputs {
      let remark = notFinite > 0 ? ", \(notFinite) of them NaN or infinite" : ""
      Terminal.write("\(name): \(described(shape))\(remark)")
    }
  }
}
