import NapGraph
import NapOperators

extension Architecture {
  /// MobileNetV2 with the first strides left out for images of fewer than 64 pixels.
  ///
  /// - Source: Sandler et al. 2018, arXiv:1801.04381, table 2.
  static let mobileNetV2 = Architecture(
    name: "mobilenet-v2", summary: "inverted residuals with depthwise convolutions"
  ) { network, imageShape, classes in
    let isSmall = (imageShape.last ?? 0) < 64
    var x = network.input(imageShape)
    x = network.convolution(x, 32, kernel: 3, stride: isSmall ? 1 : 2, "stem")
    x = clipped(&network, network.normalization(x, "stem.bn"), "stem.relu6")
    let stages = [
      (1, 16, 1, 1), (6, 24, 2, isSmall ? 1 : 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
      (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    for (stage, (expansion, channels, blocks, stride)) in stages.enumerated() {
      for block in 0..<blocks {
        x = inverted(
          &network, x, channels, expansion: expansion, stride: block == 0 ? stride : 1,
          "stage\(stage + 1).block\(block + 1)")
      }
    }
    x = network.convolution(x, 1280, kernel: 1, "head")
    x = clipped(&network, network.normalization(x, "head.bn"), "head.relu6")
    network.classifier(x, classes)
  }

  private static func clipped(_ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ name: String)
    -> NetworkBuilder.Value
  {
    network.apply(Clip(lower: 0, upper: 6), [x], name)
  }

  private static func inverted(
    _ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ channels: Int, expansion: Int, stride: Int,
    _ name: String
  ) -> NetworkBuilder.Value {
    let inputs = network.shape(x)[0]
    var y = x
    if expansion > 1 {
      y = network.convolution(y, inputs * expansion, kernel: 1, "\(name).expand")
      y = clipped(&network, network.normalization(y, "\(name).expand.bn"), "\(name).expand.relu6")
    }
    y = network.convolution(
      y, inputs * expansion, kernel: 3, stride: stride, group: inputs * expansion,
      "\(name).depthwise")
    y = clipped(
      &network, network.normalization(y, "\(name).depthwise.bn"), "\(name).depthwise.relu6")
    y = network.convolution(y, channels, kernel: 1, "\(name).project")
    y = network.normalization(y, "\(name).project.bn")
    return stride == 1 && inputs == channels ? network.apply(Add(), [x, y], "\(name).add") : y
  }
}
