package import NapGraph
import NapOperators
package import NapTensor

/// Writes small networks down in a few lines, with random weights.
package struct SmallNetwork {
  package private(set) var graph = Graph()
  private var random: SplitMix64

  package init(seed: UInt64 = 1) { random = Seed(seed).generator() }

  package mutating func tensor(_ shape: [Int], in range: ClosedRange<Float> = -1...1) -> Tensor {
    Tensor(
      shape: shape,
      floats: (0..<shape.product).map { _ in
        range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
      })
  }

  package mutating func input(_ shape: [Int]) -> ValueID {
    let value = graph.addValue("x")
    graph.inputs.append(.init(value: value, dimensions: [.dynamic("N")] + shape.map { .fixed($0) }))
    return value
  }

  package mutating func output(_ value: ValueID, _ shape: [Int]) {
    graph.outputs.append(
      .init(value: value, dimensions: [.dynamic("N")] + shape.map { .fixed($0) }))
  }

  package mutating func apply(_ op: any Operator, _ inputs: ValueID..., name: String) -> ValueID {
    graph.addNode(name, op, inputs)[0]
  }

  package mutating func conv(
    _ x: ValueID, _ weight: [Int], group: Int = 1, bias: Bool = false, _ name: String
  ) -> ValueID {
    let pads = weight[2...].map { $0 / 2 }
    let window = Window(kernel: Array(weight[2...]), padding: .explicit(begin: pads, end: pads))
    var inputs = [x, graph.addConstant("\(name).w", tensor(weight))]
    if bias { inputs.append(graph.addConstant("\(name).b", tensor([weight[0]]))) }
    return graph.addNode(name, Conv(window: window, group: group), inputs)[0]
  }

  package mutating func normalization(_ x: ValueID, _ channels: Int, _ name: String) -> ValueID {
    let parameters = ["scale", "bias", "mean"].map {
      graph.addConstant("\(name).\($0)", tensor([channels]))
    }
    let variance = graph.addConstant("\(name).variance", tensor([channels], in: 0.5...2))
    return graph.addNode(name, BatchNormalization(), [x] + parameters + [variance])[0]
  }

  package mutating func linear(_ x: ValueID, _ inputs: Int, _ outputs: Int, _ name: String)
    -> ValueID
  {
    let weight = graph.addConstant("\(name).w", tensor([outputs, inputs]))
    let bias = graph.addConstant("\(name).b", tensor([outputs]))
    return graph.addNode(name, Gemm(), [x, weight, bias])[0]
  }

  package func constant(_ name: String) -> ValueID {
    guard let value = graph.constants.keys.first(where: { graph.name(of: $0) == name }) else {
      preconditionFailure("there is no constant '\(name)'")
    }
    return value
  }
}

extension SmallNetwork {
  /// `x → conv a (4) → relu → + conv c(relu(conv b (3))) → pool → linear`.
  package static var residual: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(
      Relu(), n.normalization(n.conv(x, [4, 2, 3, 3], "a"), 4, "a.bn"), name: "a.relu")
    let b = n.apply(
      Relu(), n.normalization(n.conv(a, [3, 4, 3, 3], "b"), 3, "b.bn"), name: "b.relu")
    let c = n.conv(b, [4, 3, 3, 3], bias: true, "c")
    let sum = n.apply(Add(), a, c, name: "sum")
    return n.classifying(sum, 4)
  }

  /// `conv a (3)` and `conv b (2)`, concatenated, into `conv c (4)`.
  package static var concatenating: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.conv(x, [3, 2, 1, 1], bias: true, "a")
    let b = n.conv(x, [2, 2, 3, 3], bias: true, "b")
    let joined = n.apply(Relu(), n.apply(Concat(axis: 1), a, b, name: "join"), name: "join.relu")
    let c = n.apply(Relu(), n.conv(joined, [4, 5, 1, 1], bias: true, "c"), name: "c.relu")
    return n.classifying(c, 4)
  }

  /// `conv a (4) → depthwise b (4) → conv c (3)`.
  package static var depthwise: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(
      Clip(lower: 0, upper: 6), n.conv(x, [4, 2, 1, 1], bias: true, "a"), name: "a.relu")
    let b = n.normalization(n.conv(a, [4, 1, 3, 3], group: 4, "b"), 4, "b.bn")
    let c = n.apply(Relu(), n.conv(b, [3, 4, 1, 1], bias: true, "c"), name: "c.relu")
    return n.classifying(c, 3)
  }

  /// `conv a (4)`, scaled by `sigmoid(conv s2 (4) (relu(conv s1 (2) (pool a))))`.
  package static var squeezeExcite: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(HardSwish(), n.conv(x, [4, 2, 3, 3], bias: true, "a"), name: "a.swish")
    let pooled = n.apply(GlobalAveragePool(), a, name: "squeeze")
    let s1 = n.apply(Relu(), n.conv(pooled, [2, 4, 1, 1], bias: true, "s1"), name: "s1.relu")
    let s2 = n.apply(Sigmoid(), n.conv(s1, [4, 2, 1, 1], bias: true, "s2"), name: "s2.sigmoid")
    let scaled = n.apply(Mul(), a, s2, name: "excite")
    return n.classifying(scaled, 4)
  }

  /// All of them, by name.
  package static var all: [(name: String, network: SmallNetwork)] {
    [
      ("residual", residual), ("concatenating", concatenating), ("depthwise", depthwise),
      ("squeeze-excite", squeezeExcite),
    ]
  }

  private func classifying(_ x: ValueID, _ channels: Int) -> SmallNetwork {
    var n = self
    let pooled = n.apply(GlobalAveragePool(), x, name: "pool")
    let features = n.apply(Flatten(), pooled, name: "flatten")
    n.output(n.linear(features, channels, 3, "classifier"), [3])
    return n
  }
}
