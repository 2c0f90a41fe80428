/// How images become numbers, and how they are varied in training.
package struct Preset: Sendable, Hashable {
  package var name: String
  /// By channel, of pixels in `0...1`.
  package var mean: [Float]
  package var standardDeviation: [Float]
  /// Random crops from an image with this many black pixels added on every side; 0 for none.
  package var cropPadding: Int
  package var flips: Bool

  package static let all: [Preset] = [
    Preset(
      name: "cifar10", mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225],
      cropPadding: 4, flips: true),
    Preset(
      name: "imagenet", mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225],
      cropPadding: 0, flips: true),
    Preset(
      name: "synthetic", mean: [0.5], standardDeviation: [0.25], cropPadding: 2, flips: true),
    Preset(
      name: "mnist", mean: [0.1307], standardDeviation: [0.3081], cropPadding: 2, flips: false),
    Preset(name: "plain", mean: [0], standardDeviation: [1], cropPadding: 0, flips: false),
  ]

  /// Of what are numbers already.
  package static let asTheyAre = Preset(
    name: "plain", mean: [0], standardDeviation: [1], cropPadding: 0, flips: false)

  package static func named(_ name: String) -> Preset? { all.first { $0.name == name } }

  /// The normalized value of every byte of a channel.
  func table(channel: Int) -> [Float] {
    let mean = mean[min(channel, mean.count - 1)]
    let deviation = standardDeviation[min(channel, standardDeviation.count - 1)]
    return (0..<256).map { (Float($0) / 255 - mean) / deviation }
  }
}
