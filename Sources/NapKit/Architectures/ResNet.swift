import NapGraph
import NapOperators
import NapTensor

extension Architecture {
  /// The residual network for small images with `6 · blocks + 2` layers and shortcuts without
  /// weights: every second pixel, and zeros for the new channels.
  ///
  /// - Source: He et al. 2015, arXiv:1512.03385, section 4.2, option A.
  static func cifarResNet(blocks: Int) -> Architecture {
    let depth = 6 * blocks + 2
    return Architecture(
      name: "resnet\(depth)", summary: "residual network of \(depth) layers for small images"
    ) {
      network, imageShape, classes in
      var x = network.input(imageShape)
      x = network.convolution(x, 16, kernel: 3, "conv1")
      x = network.relu(network.normalization(x, "bn1"), "relu1")
      for (stage, channels) in [16, 32, 64].enumerated() {
        for block in 0..<blocks {
          let name = "stage\(stage + 1).block\(block + 1)"
          x = residual(&network, x, channels, stride: stage > 0 && block == 0 ? 2 : 1, name)
        }
      }
      network.classifier(x, classes)
    }
  }

  private static func residual(
    _ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ channels: Int, stride: Int, _ name: String
  ) -> NetworkBuilder.Value {
    var y = network.convolution(x, channels, kernel: 3, stride: stride, "\(name).conv1")
    y = network.relu(network.normalization(y, "\(name).bn1"), "\(name).relu1")
    y = network.convolution(y, channels, kernel: 3, "\(name).conv2")
    y = network.normalization(y, "\(name).bn2")
    var shortcut = x
    if stride > 1 {
      let ranges = [2, 3].map {
        Slice.Range(axis: $0, start: 0, end: network.shape(x)[$0 - 1], step: stride)
      }
      shortcut = network.apply(Slice(ranges), [x], "\(name).slice")
      let missing = channels - network.shape(x)[0]
      shortcut = network.apply(
        Pad(before: [0, missing / 2, 0, 0], after: [0, missing - missing / 2, 0, 0]), [shortcut],
        "\(name).pad")
    }
    return network.relu(network.apply(Add(), [y, shortcut], "\(name).add"), "\(name).relu2")
  }
}
