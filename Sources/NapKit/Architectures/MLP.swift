import NapOperators

extension Architecture {
  /// Two hidden layers of 512 and 256 features.
  static let mlp = Architecture(name: "mlp", summary: "linear layers of 512 and 256 features") {
    network, imageShape, classes in
    var x = network.input(imageShape)
    x = network.apply(Flatten(), [x], "flatten")
    for (layer, features) in [512, 256].enumerated() {
      x = network.linear(x, features, "linear\(layer + 1)")
      x = network.relu(x, "relu\(layer + 1)")
    }
    network.output(network.linear(x, classes, "classifier"))
  }
}
