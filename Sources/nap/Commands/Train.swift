import ArgumentParser
import NapKit
import NapReport
import NapTensor

struct Train: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a network, from a file or from nothing.",
    discussion: """
      Examples:
        nap train resnet20 --data DIR --preset cifar10 --epochs 30 -o resnet20.onnx
        nap train small.onnx --teacher big.onnx --data DIR --preset cifar10 --epochs 10 -o better.onnx

      Architectures:
      \(Network.architectures.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
      """)

  @Argument(help: "An ONNX file, or an architecture.", completion: .networkOrArchitecture)
  var model: String

  @Option(
    name: [.short, .long], help: "Where to write the trained network (ONNX).", completion: .network)
  var output: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(help: "How often every image is seen (default: 30).")
  var epochs: Int?

  @Option(
    help: ArgumentHelp(
      "How long to train, such as 30m or 1h30m, instead of --epochs.", valueName: "span"))
  var time: TimeSpan?

  @Option(help: "Images a step.")
  var batchSize = 128

  @Option(
    help: "The peak learning rate (default: 0.1, less where the loss is no longer a number).")
  var learningRate: Double?

  @Option(
    help: "How the learning rate goes down: \(Training.schedules.joined(separator: " or ")).",
    completion: .list(Training.schedules))
  var schedule = "cosine"

  @Option(help: "Epochs over which the learning rate rises from 0; half of the run at most.")
  var warmup = 1.0

  @Option(help: "Nesterov momentum.")
  var momentum = 0.9

  @Option(help: "Weight decay; never on biases and normalizations.")
  var weightDecay = 5e-4

  @Option(help: "Probability mass that is spread over all classes.")
  var labelSmoothing = 0.0

  @Option(
    help: ArgumentHelp("A network whose outputs are imitated (distillation).", valueName: "onnx"),
    completion: .network)
  var teacher: String?

  @Option(help: "The weight of the teacher against the labels.")
  var teacherWeight = 0.9

  @Option(help: "The temperature of the distillation.")
  var temperature = 4.0

  @Flag(inversion: .prefixedNo, help: "Vary the images by the preset's crops and flips.")
  var augment = true

  @Option(help: "Same seed, same result.")
  var seed: UInt64 = 0

  @OptionGroup var runOptions: RunOptions

  @OptionGroup var engineOptions: EngineOptions

  @OptionGroup var outputsOptions: OutputsOptions

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    func require(_ holds: Bool, _ message: String) throws {
      if !holds { throw ValidationError(message) }
    }
    try require(epochs == nil || time == nil, "give either --epochs or --time")
    try require((1...100_000).contains(epochs ?? 1), "--epochs must lie between 1 and 100000")
    try require((1...65_536).contains(batchSize), "--batch-size must lie between 1 and 65536")
    try require(
      learningRate ?? 1 > 0 && learningRate?.isFinite ?? true, "--learning-rate must be positive")
    try require(warmup >= 0 && warmup.isFinite, "--warmup must not be negative")
    try require((0..<1).contains(momentum), "--momentum must lie between 0 and 1")
    try require(weightDecay >= 0 && weightDecay.isFinite, "--weight-decay must not be negative")
    try require((0..<1).contains(labelSmoothing), "--label-smoothing must lie between 0 and 1")
    try require((0...1).contains(teacherWeight), "--teacher-weight must lie between 0 and 1")
    try require(temperature > 0 && temperature.isFinite, "--temperature must be positive")
    try require(
      Training.schedules.contains(schedule),
      "there is no schedule '\(schedule)'; choose \(Training.schedules.joined(separator: " or "))")
  }

  func run() throws {
    var training = Training(source: try dataOptions.source(for: model))
    let destination = try Destination(
      output, models: [model, teacher], others: [training.source.path])
    training.epochs = epochs ?? training.epochs
    training.seconds = time?.seconds
    training.batchSize = batchSize
    training.learningRate = learningRate
    training.schedule = schedule
    training.warmupEpochs = warmup
    training.momentum = momentum
    training.weightDecay = weightDecay
    training.labelSmoothing = labelSmoothing
    training.teacherWeight = teacherWeight
    training.temperature = temperature
    training.augments = augment
    training.seed = seed
    training.outputs = try outputsOptions.choices()
    training.precision = engineOptions.precision
    training.savesMemory = engineOptions.saveMemory
    let network = try training.network(model, inputShapes: try shapeOptions.shapes())
    training.teacher = try teacher.map { try Network(contentsOf: $0, like: network) }
    let ending = try runOptions.ending(
      besides: output, [("-o", destination)], models: [model, teacher],
      inputs: [training.source.path, dataOptions.classes])
    let terminal = Terminal()
    try Terminal.rescuing(to: destination, ending.run) {
      let (result, report) = try training.run(
        network, in: ending.run, progress: outputOptions.progress(terminal))
      terminal.clear()
      try destination.deliver {
        try result.write(to: $0)
      } finish: {
        ending.finish(report)
      } report: {
        try ending.show(report, outputOptions)
      }
    }
  }
}
