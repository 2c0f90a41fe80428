import Foundation
import NapData
import NapGraph
import NapKernels
import NapOutputs
import NapTensor
import NapTraining

/// A classifier that does no better than guessing, most likely as it is given other numbers than in training.
package struct ChanceError: NapError, Equatable {
  package let problem: String
  package let recovery: String?
  package var isFinal: Bool { true }
}

/// What guessing achieves on labelled images.
struct Chance {
  /// Of one class in as many, or always the largest.
  let share: Double
  /// What is better by so many standard errors, as a share.
  let bound: Double

  /// - Returns: `nil` where so few images, or so few classes, tell nothing.
  init?(_ data: any Dataset, _ outputs: Outputs, errors: Double = 3) throws {
    let counts = try Self.counts(data, outputs)
    let known = counts.reduce(0, +)
    guard counts.count > 1, known >= Self.fewest else { return nil }
    share = max(1 / Double(counts.count), Double(counts.max() ?? 0) / Double(known))
    bound = share + errors * (share * (1 - share) / Double(known)).squareRoot()
    guard bound < 1 else { return nil }
  }

  /// How many images of each class there are, those of no known class left out; none where images have no class.
  private static func counts(_ data: any Dataset, _ outputs: Outputs) throws -> [Int] {
    var counts = [Int](repeating: 0, count: data.classNames.count)
    if counts.count > 1 {
      for index in 0..<data.count { counts[data.label(at: index)] += 1 }
    } else if outputs.meanings.count == 1, let meaning = outputs.meanings.first,
      let task = meaning.task, task.task is Classes, task.target.size == 1
    {
      counts = [Int](repeating: 0, count: meaning.shape[meaning.axis])
      var number: Float = 0
      for index in 0..<data.count {
        try data.copyTarget(task.target.index, of: index, into: &number)
        if number >= 0, Int(number) < counts.count { counts[Int(number)] += 1 }
      }
    }
    return counts
  }

  static let fewest = 50

  /// What is to be said of an accuracy in percent; `nil` where it is better.
  func problem(_ accuracy: Double, _ preparation: String) -> String? {
    guard accuracy / 100 <= bound else { return nil }
    return String(
      format:
        "the network is right on %.1f %% of the images, where guessing is on %.1f %%; is this how they were prepared in training: ",
      accuracy, 100 * share) + preparation + "?"
  }
}

extension DataSource {
  /// How many images tell which preset is right.
  private static let trials = 200

  /// Which other presets make a network better than guessing, best first, as a sentence.
  ///
  /// - Parameters:
  ///   - indices: of training images; nothing is chosen by the test split.
  ///   - network: that the graph is of.
  func betterPresets(
    for graph: Graph, _ outputs: Outputs, of network: Network, indices: [Int],
    progress: ProgressHandler
  ) throws -> String {
    let chosen = Array(indices.prefix(Self.trials))
    var found: [(name: String, accuracy: Double)] = []
    for other in Preset.all where other.name != preset.name {
      var source = self
      source.preset = other
      (source.preset.layout, source.preset.channels) = (preset.layout, preset.channels)
      let data = Subset(try source.open(.train, for: network), indices: chosen)
      let sum = try Evaluation.measure(
        graph, data, source.preset, .float32, outputs: outputs, stage: "trying presets", progress: progress)
      if let chance = try Chance(data, outputs), sum.accuracy / 100 > chance.bound {
        found.append((other.name, sum.accuracy))
      }
    }
    guard !found.isEmpty else {
      return
        "no other preset is better; check --channels, --layout, --scale, and the order of classes"
        + " (--classes); --allow-chance goes on anyway"
    }
    return found.sorted { $0.accuracy > $1.accuracy }.map {
      String(format: "with --preset %@ it is right on %.0f %%", $0.name, $0.accuracy)
    }.joined(separator: ", ") + " of \(chosen.count) training images"
  }
}
