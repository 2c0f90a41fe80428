import NapKit

// Channels whose weights are small go first: the sum of their absolute values, by layer.
struct SmallestWeights: ChannelCriterion {
  static let name = "smallest-weights"

  func score(of channel: Channel) -> Double {
    let sums = channel.incomingWeights.map { row in
      row.reduce(0) { $0 + abs($1) } / Double(row.count)
    }
    return sums.reduce(0, +) / Double(max(1, sums.count))
  }
}

let source = try DataSource(path: "synthetic", preset: "synthetic")
guard let network = Network(architecture: "mlp", imageShape: [3, 32, 32], classes: 10) else {
  fatalError("there is no such architecture")
}
var training = Training(source: source)
training.epochs = 2
let (trained, _) = try training.run(network)

var pruning = Pruning(source: source)
pruning.goal = .macs(0.7)
pruning.epochs = 0
pruning.setCriterion(SmallestWeights.self)
let (smaller, report) = try pruning.run(trained)
print(report.criterion, smaller.layers.map(\.weightShape))
