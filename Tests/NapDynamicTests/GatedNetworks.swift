import NapDynamic
import NapGraph
import NapOperators
import NapTensor
import NapTestSupport

extension SmallNetwork {
  /// A stem, residual blocks of two convolutions, the second with a strided shortcut, a pool, and a convolution
  /// with an activation that kernels cannot limit.
  static func blocks(_ channels: Int = 20) -> Graph {
    var n = SmallNetwork(seed: 7)
    func convolution(_ x: ValueID, _ sizes: [Int], stride: Int = 1, _ name: String) -> ValueID {
      let pads = sizes[2...].map { $0 / 2 }
      let window = Window(
        kernel: Array(sizes[2...]), strides: [stride, stride],
        padding: .explicit(begin: pads, end: pads))
      let scale = 1 / Float(sizes[1...].reduce(1, *)).squareRoot()
      let weight = n.graph.addConstant("\(name).w", n.tensor(sizes, in: -2 * scale...2 * scale))
      let y = n.apply(Conv(window: window), x, weight, name: name)
      return n.normalization(y, sizes[0], "\(name).bn")
    }
    let x = n.input([3, 9, 9])
    let stem = n.apply(Relu(), convolution(x, [channels, 3, 3, 3], "stem"), name: "stem.relu")
    let a = n.apply(
      Relu(), convolution(stem, [channels, channels, 3, 3], "a"), name: "a.relu")
    let b = convolution(a, [channels, channels, 3, 3], "b")
    let first = n.apply(Relu(), n.apply(Add(), b, stem, name: "sum"), name: "sum.relu")
    let c = n.apply(
      Clip(lower: 0, upper: 6), convolution(first, [24, channels, 3, 3], stride: 2, "c"),
      name: "c.relu")
    let d = convolution(c, [24, 24, 3, 3], "d")
    let shortcut = convolution(first, [24, channels, 1, 1], stride: 2, "shortcut")
    let second = n.apply(Relu(), n.apply(Add(), shortcut, d, name: "sum2"), name: "sum2.relu")
    let e = n.apply(Relu(), convolution(second, [16, 24, 3, 3], "e"), name: "e.relu")
    let pooled = n.apply(MaxPool(window: Window(kernel: [2, 2], strides: [2, 2])), e, name: "max")
    let f = n.apply(HardSwish(), convolution(pooled, [16, 16, 3, 3], "f"), name: "f.swish")
    let mean = n.apply(Flatten(), n.apply(GlobalAveragePool(), f, name: "pool"), name: "flat")
    n.output(n.linear(mean, 16, 5, "classes"), [5])
    return n.graph
  }
}

extension Graph {
  /// Gates that differ from example to example, with about half of the channels open.
  ///
  /// - Parameter scaling: as other programs may write them: open channels are multiplied by their saliency.
  func deciding(_ style: GateStyle = GateStyle(), scaling: Bool = false) throws -> Graph {
    var result = try addingGates(style, seed: Seed(3))
    var random = Seed(4).generator()
    let gates = result.channelGates(try result.shapes(batch: 1))
    for gate in gates {
      guard let weight = result.constants[gate.units.weight] else { continue }
      result.constants[gate.units.weight] = Tensor(
        shape: weight.shape, floats: weight.floats.map { _ in 2 * random.uniform() - 1 })
    }
    guard scaling else { return try result.settingGates(threshold: 0.2) }
    for gate in gates.reversed() {
      let limited = result.addValue("\(result.nodes[gate.product].name)/saliency")
      result.nodes[gate.threshold].op = ThresholdedRelu(alpha: 0.2)
      result.nodes[gate.threshold].inputs = [limited]
      result.nodes.insert(
        Node(
          name: result.name(of: limited), op: Clip(lower: 0, upper: 2), inputs: [gate.saliency],
          outputs: [limited]), at: gate.threshold)
    }
    return result
  }

  func input(_ count: Int) -> Tensor {
    var n = SmallNetwork(seed: 11)
    return n.tensor([count, 3, 9, 9])
  }
}
