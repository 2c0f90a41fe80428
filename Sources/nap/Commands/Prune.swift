import ArgumentParser
import Foundation
import NapKit
import NapReport
import NapTensor

struct Prune: ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a trained network smaller and faster.",
    discussion: """
      Without a target, nap removes as much as can go for one percentage point of accuracy, decided \
      on training images that it holds out; the test split only serves the final report. Images \
      without labels will do, for any network: nap then keeps what the network says about them.

      Examples:
        nap prune model.onnx --data DIR --preset cifar10 -o smaller.onnx
        nap prune model.onnx --data DIR --preset cifar10 -o half.onnx --macs 0.5
        nap prune model.onnx --data DIR --preset cifar10 -o quick.onnx --macs 0.7 --epochs 0
        nap prune model.onnx --data DIR --preset cifar10 -o best.onnx --macs 0.5 --time 45m
        nap prune model.onnx --data DIR --preset cifar10 -o sparse.onnx --granularity weights --sparsity 0.9
        nap prune model.onnx --data DIR --preset cifar10 -o pattern.onnx --granularity 2:4
        nap prune model.onnx --data DIR --preset cifar10 -o half.onnx --macs 0.5 --kept half.json

      Criteria:
      \(Pruning.criteria.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))

      Allocators, which decide how wide layers are:
      \(Pruning.allocators.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))
      """)

  @Argument(help: "The trained network, an ONNX file.", completion: .network)
  var model: String

  @Option(
    name: [.short, .long], help: "Where to write the smaller network (ONNX).", completion: .network)
  var output: String

  @OptionGroup var dataOptions: DataOptions

  @OptionGroup var shapeOptions: ShapeOptions

  @Option(
    help: ArgumentHelp(
      "What is removed: channels (a smaller, faster network), weights (zeros), or a pattern such as 2:4 (zeros that keep two of four neighbouring input channels).",
      valueName: "kind"))
  var granularity = Pruning.Granularity.channels

  @Option(
    help: ArgumentHelp("Keep at most this share of the multiply-accumulates.", valueName: "share"))
  var macs: Share?

  @Flag(
    help:
      "Let every example decide what is computed: --macs or --latency is the mean then. A small network answers, and a larger one is asked where that is in doubt."
  )
  var dynamic = false

  @Option(
    help: ArgumentHelp(
      "With --dynamic, what examples decide about: network (whether a larger one is asked after a small one; the default where there are classes), or channels (of each layer; less accurate so far).",
      valueName: "kind"))
  var gates: Pruning.Dynamic.Gates?

  @Option(
    help: ArgumentHelp(
      "With --gates channels, channels that are open or closed together: 1, 8 or 16 (default: 8).",
      valueName: "channels"))
  var gateBlock: Int?

  @Option(
    help: ArgumentHelp(
      "With --dynamic, what is left of the multiply-accumulates for good: in the small network, or before gates of channels decide (default: a part of --macs; with channels a little more, such as 0.5 for 0.4).",
      valueName: "share"))
  var staticMacs: Share?

  @Option(
    help: ArgumentHelp(
      "With --gates channels, how much it counts that gates judge images alike that look alike to the layer; 1 as published (default: 0).",
      valueName: "weight"))
  var gateSimilarity: Double?

  @Option(help: ArgumentHelp("Keep at most this share of the parameters.", valueName: "share"))
  var params: Share?

  @Option(
    help: ArgumentHelp(
      "Take at most this share of the time of a single image, measured on this machine or told by a table.",
      valueName: "share"))
  var latency: Share?

  @Option(
    help: ArgumentHelp(
      "Times of the layers on the target device (CSV); nap profile --latency-table writes one to fill in.",
      valueName: "file"), completion: .table)
  var latencyTable: String?

  @Option(help: ArgumentHelp("Set this share of the weights to zero.", valueName: "share"))
  var sparsity: Share?

  @Option(
    help: ArgumentHelp(
      "Remove as much as can go for this many percentage points of accuracy (default: 1).",
      valueName: "points"))
  var maxDrop: Double?

  @Option(
    help: "Epochs of fine-tuning; 0 means one shot, without any training (default: chosen by nap).")
  var epochs: Int?

  @Option(
    help: ArgumentHelp(
      "Keep multiples of this many channels, such as 1 or 16: processors compute in blocks (default: by how many there are, 16 at most).",
      valueName: "channels"))
  var round: Int?

  @Option(
    help: ArgumentHelp(
      "How long the whole job may take, such as 30m or 1h30m; nap shares it out.",
      valueName: "span"))
  var time: TimeSpan?

  @Option(
    help: ArgumentHelp(
      """
      A network to imitate in fine-tuning, such as a larger one for the same classes (default: the model itself). \
      Where the preset mirrors images, and there are labels, the mean of what it says of both sides is imitated.
      """,
      valueName: "model"), completion: .network)
  var teacher: String?

  @OptionGroup var keptOptions: KeptOptions

  @OptionGroup var runOptions: RunOptions

  @Flag(
    help: ArgumentHelp(
      "Write weights of zeros mostly as lists of what is not zero: a smaller file that not every runtime reads."
    ))
  var sparse = false

  @Option(
    help: "How channels are scored: \(Pruning.criteria.map(\.name).joined(separator: ", ")).",
    completion: .criteria)
  var criterion = "nap"

  @Option(
    help: ArgumentHelp(
      "What decides how wide layers are: \(Pruning.allocators.map(\.name).joined(separator: ", ")).",
      valueName: "name"),
    completion: .list(Pruning.allocators.map(\.name)))
  var allocator = Pruning.ranking

  @OptionGroup var allocationOptions: AllocationOptions

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A node whose output must keep all its channels (may be repeated).", valueName: "node"))
  var freeze: [String] = []

  @Flag(help: "Go on where the network does no better than guessing.")
  var allowChance = false

  @Option(help: "Same seed, same result.")
  var seed: UInt64 = 0

  @OptionGroup var engineOptions: EngineOptions

  @Option(
    help: ArgumentHelp(
      "How fine-tuning steps: kfac (the curvature points the way) or sgd.", visibility: .hidden))
  var optimizer = Pruning.Optimizer.kfac

  @Option(help: "The peak learning rate of fine-tuning (default: chosen by nap).")
  var learningRate: Double?

  @Option(
    help: ArgumentHelp(
      "Added to the curvature, as a share of its mean eigenvalues; more is more careful.",
      valueName: "share"))
  var damping = Pruning.standardDamping

  @Option(help: ArgumentHelp("Images the curvature is collected from.", visibility: .hidden))
  var curvatureImages: Int?

  @Option(
    help: ArgumentHelp(
      "Inputs of a layer that are taken for correlated; less needs less memory and time.",
      valueName: "inputs"))
  var maxFactor = Pruning.standardLargestFactor

  @Option(help: ArgumentHelp("Rounds in which channels are removed.", visibility: .hidden))
  var rounds: Int?

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Put batch normalizations behind the convolutions of a network that has none while it is worked on.",
      visibility: .hidden))
  var restoreNormalization = true

  @Option(
    help: ArgumentHelp(
      "A command of yours that prints a number, more being better, as the last word: 'python map.py {model}'. It is run on the network before and after.",
      valueName: "command"))
  var metric: String?

  @Flag(
    help:
      "Have --max-drop mean --metric, in its own units: the command is run on every network on the way."
  )
  var judgeByMetric = false

  @OptionGroup var outputsOptions: OutputsOptions

  @OptionGroup var threadOptions: ThreadOptions

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    try macs?.check("--macs")
    try params?.check("--params")
    try latency?.check("--latency")
    try sparsity?.check("--sparsity")
    if let maxDrop, !(maxDrop >= 0 && maxDrop <= 100) {
      throw ValidationError("--max-drop \(maxDrop) does not lie between 0 and 100")
    }
    let goals =
      [macs, params, latency, sparsity].compactMap { $0?.value } + [maxDrop].compactMap { $0 }
    guard goals.count <= 1 else {
      throw ValidationError(
        "give only one of --macs, --params, --latency, --sparsity and --max-drop")
    }
    switch granularity {
    case .channels where sparsity != nil:
      throw ValidationError(
        "--sparsity needs --granularity weights; for channels give --macs or --params")
    case .weights where macs != nil || params != nil || latency != nil:
      throw ValidationError("--granularity weights needs --sparsity or --max-drop")
    case .pattern where !goals.isEmpty:
      throw ValidationError("--granularity \(granularity) says itself how much is removed")
    default: break
    }
    if dynamic, macs == nil && latency == nil || granularity != .channels {
      throw ValidationError("--dynamic needs --macs or --latency, the mean of what examples cost")
    }
    if latency != nil, staticMacs != nil || gates == .channels {
      throw ValidationError("--\(staticMacs == nil ? "gates channels" : "static-macs") needs --macs")
    }
    if !dynamic, staticMacs != nil || gates != nil {
      throw ValidationError("--\(gates == nil ? "static-macs" : "gates") is for --dynamic")
    }
    try staticMacs?.check("--static-macs", allowsWhole: true)
    if gates == .network, let staticMacs, let macs, staticMacs.value >= macs.value {
      throw ValidationError("--static-macs, the small network, leaves nothing of --macs for the larger one")
    }
    if gates == .channels, epochs == 0 {
      throw ValidationError("--gates channels needs training: they begin with knowing nothing")
    }
    if gates != .channels, gateBlock != nil || gateSimilarity != nil {
      throw ValidationError(
        "--gate-\(gateBlock == nil ? "similarity" : "block") is for --gates channels")
    }
    if let gateBlock, ![1, 8, 16].contains(gateBlock) {
      throw ValidationError("--gate-block \(gateBlock) is none of 1, 8 and 16")
    }
    if latencyTable != nil, latency == nil {
      throw ValidationError("--latency-table needs --latency")
    }
    if let round, !(1...1024).contains(round) {
      throw ValidationError("--round \(round) does not lie between 1 and 1024")
    }
    if round != nil, granularity != .channels {
      throw ValidationError("--round is for channels")
    }
    if judgeByMetric {
      if metric == nil { throw ValidationError("--judge-by-metric needs --metric") }
      if maxDrop == nil {
        throw ValidationError(
          "--judge-by-metric needs --max-drop, in the metric's own units: --max-drop 0.01")
      }
    }
    if epochs == 0, teacher != nil { throw ValidationError("--teacher is for fine-tuning") }
    if epochs != nil, time != nil { throw ValidationError("give either --epochs or --time") }
    if let epochs, !(0...100_000).contains(epochs) {
      throw ValidationError("--epochs \(epochs) is out of range")
    }
    // Each by itself: no sentence names a hidden option that was not given.
    for (option, holds) in [
      ("--damping", damping > 0 && damping.isFinite), ("--max-factor", maxFactor > 0),
      ("--curvature-images", curvatureImages ?? 1 > 0), ("--rounds", rounds ?? 1 > 0),
      ("--learning-rate", learningRate ?? 1 > 0 && learningRate?.isFinite ?? true),
    ] where !holds {
      throw ValidationError("\(option) must be positive")
    }
    if let rounds, rounds >= 1000 { throw ValidationError("--rounds \(rounds) is out of range") }
    try keptOptions.check(hasMasks: granularity != .channels)
    try Pruning.check([criterion], allocators: [allocator])
    if allocator != Pruning.ranking, granularity != .channels {
      throw ValidationError("--allocator is for channels")
    }
  }

  func run() throws {
    var pruning = Pruning(source: try dataOptions.source(for: model))
    let destination = try Destination(
      output, models: [model, teacher], others: [latencyTable, pruning.source.path],
      bytes: Network.fileSize(at: model))
    let kept = try keptOptions.destination(
      besides: destination, models: [model, teacher], inputs: [latencyTable, pruning.source.path])
    pruning.granularity = granularity
    pruning.goal = goal
    if dynamic {
      var dynamic = Pruning.Dynamic(gates: gates, staticShare: staticMacs?.value)
      if let gateBlock { dynamic.block = gateBlock }
      if let gateSimilarity { dynamic.similarity = gateSimilarity }
      pruning.dynamic = dynamic
    }
    pruning.epochs = epochs
    pruning.multiple = round
    pruning.latencyTable = latencyTable
    pruning.seconds = time?.seconds
    pruning.criterion = criterion
    pruning.allocator = allocator
    allocationOptions.apply(to: &pruning)
    pruning.seed = seed
    pruning.allowsChance = allowChance
    pruning.precision = engineOptions.precision
    pruning.savesMemory = engineOptions.saveMemory
    pruning.damping = damping
    pruning.curvatureImages = curvatureImages
    pruning.largestFactor = maxFactor
    pruning.rounds = rounds
    pruning.optimizer = optimizer
    pruning.learningRate = learningRate
    pruning.frozenNodes = freeze
    pruning.outputs = try outputsOptions.choices()
    pruning.metric = try metric.map { try UserMetric(command: $0) }
    pruning.isJudgedByMetric = judgeByMetric
    pruning.restoresNormalizations = restoreNormalization
    let network = try Network(
      contentsOf: model, inputShapes: try shapeOptions.shapes(), for: pruning.source)
    pruning.teacher = try teacher.map { try Network(contentsOf: $0, like: network) }
    let ending = try runOptions.ending(
      besides: output, [("-o", destination), ("--kept", kept)], models: [model, teacher],
      inputs: [latencyTable, pruning.source.path, dataOptions.classes])
    let terminal = Terminal()
    try Terminal.rescuing(to: destination, ending.run) {
      let (result, report) = try pruning.run(
        network, in: ending.run, progress: outputOptions.progress(terminal))
      terminal.clear()
      // Before the job is done: a kill in between leaves it to be resumed.
      let keptProblem = try kept?.deliver(result.kept(masks: granularity != .channels))
      try destination.deliver {
        try result.write(to: $0, sparse: sparse)
      } finish: {
        ending.finish(report)
      } report: {
        try ending.show(report, outputOptions)
        if let keptProblem { throw keptProblem }
      }
    }
  }

  private var goal: Pruning.Goal {
    if let macs { return .macs(macs.value) }
    if let params { return .parameters(params.value) }
    if let latency { return .latency(latency.value) }
    if let sparsity { return .sparsity(sparsity.value) }
    return .maxDrop(maxDrop ?? 1)
  }
}
