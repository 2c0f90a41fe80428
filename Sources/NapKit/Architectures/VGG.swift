import NapKernels
import NapOperators

extension Architecture {
  /// VGG-16 with batch normalization and one linear layer, as is usual for small images.
  ///
  /// - Source: Simonyan & Zisserman 2014, arXiv:1409.1556, configuration D.
  static let vgg16 = Architecture(name: "vgg16-bn", summary: "VGG-16 with batch normalization") {
    network, imageShape, classes in
    var x = network.input(imageShape)
    var layer = 0
    for (stage, widths) in [
      [64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512],
    ].enumerated() {
      for width in widths {
        layer += 1
        x = network.convolution(x, width, kernel: 3, "conv\(layer)")
        x = network.relu(network.normalization(x, "bn\(layer)"), "relu\(layer)")
      }
      if network.shape(x)[1] >= 2, network.shape(x)[2] >= 2 {
        x = network.apply(
          MaxPool(window: Window(kernel: [2, 2], strides: [2, 2])), [x], "pool\(stage + 1)")
      }
    }
    network.classifier(x, classes)
  }
}
