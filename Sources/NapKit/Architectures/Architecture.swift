import NapTensor

/// A kind of network that can be trained from nothing.
struct Architecture: Sendable {
  /// The name on the command line.
  let name: String
  let summary: String
  let build: @Sendable (inout NetworkBuilder, _ imageShape: [Int], _ classes: Int) -> Void

  /// Every architecture: a new one is a file of its own and a line here.
  static let all: [Architecture] = [
    .cifarResNet(blocks: 1), .cifarResNet(blocks: 3), .cifarResNet(blocks: 9), .vgg16, .mobileNetV2,
    .mlp,
  ]

  /// A network with fresh weights.
  func network(imageShape: [Int], classes: Int, seed: UInt64) -> Network {
    var builder = NetworkBuilder(name: name, seed: seed)
    build(&builder, imageShape, classes)
    return builder.network
  }
}

extension Network {
  /// Names and summaries of the architectures that can be trained from nothing.
  public static var architectures: [(name: String, summary: String)] {
    Architecture.all.map { ($0.name, $0.summary) }
  }

  /// A network with fresh weights; `nil` when there is no architecture of that name.
  public init?(architecture name: String, imageShape: [Int], classes: Int, seed: UInt64 = 0) {
    guard let architecture = Architecture.all.first(where: { $0.name == name }) else { return nil }
    self = architecture.network(imageShape: imageShape, classes: classes, seed: seed)
  }
}
