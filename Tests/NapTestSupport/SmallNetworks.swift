package import NapGraph
import NapOperators
package import NapTensor

/// Writes small networks down in a few lines, with random weights.
package struct SmallNetwork {
  package var graph = Graph()
  private var random: SplitMix64

  package init(seed: UInt64 = 1) { random = Seed(seed).generator() }

  package mutating func tensor(_ shape: [Int], in range: ClosedRange<Float> = -1...1) -> Tensor {
    Tensor(
      shape: shape,
      floats: (0..<shape.product).map { _ in
        range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
      })
  }

  package mutating func input(
    _ shape: [Int], _ name: String = "x", elementType: ElementType = .float32
  ) -> ValueID {
    let value = graph.addValue(name)
    graph.inputs.append(
      .init(
        value: value, dimensions: [.dynamic("N")] + shape.map { .fixed($0) },
        elementType: elementType))
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

  /// Transposed: the weight is `[in, out / group, …]`.
  package mutating func transposed(
    _ x: ValueID, _ weight: [Int], group: Int = 1, stride: Int = 1, bias: Bool = false,
    _ name: String
  ) -> ValueID {
    let window = Window(
      kernel: Array(weight[2...]), strides: weight[2...].map { _ in stride })
    var inputs = [x, graph.addConstant("\(name).w", tensor(weight))]
    if bias { inputs.append(graph.addConstant("\(name).b", tensor([weight[1] * group]))) }
    return graph.addNode(name, ConvTranspose(window: window, group: group), inputs)[0]
  }

  /// Another node that does to a value what one that is there does, with its weight; its bias too, where
  /// none is given.
  package mutating func repeating(
    _ name: String, on x: ValueID, bias: ValueID? = nil, as newName: String
  ) -> ValueID {
    guard let node = graph.nodes.first(where: { $0.name == name }) else {
      preconditionFailure("there is no node '\(name)'")
    }
    let others = bias.map { [node.inputs[1], $0] } ?? Array(node.inputs.dropFirst())
    return graph.addNode(newName, node.op, [x] + others)[0]
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

  /// `conv a (6)` and `conv b (4)` behind a mirror around images whose size the file leaves open.
  package static var anySize: SmallNetwork {
    var n = SmallNetwork(seed: 14)
    let x = n.input([3, 8, 8])
    n.graph.inputs[0].declared = [.dynamic("N"), .fixed(3), .dynamic("H"), .dynamic("W")]
    let pads = [0, 0, 1, 1]
    let padded = n.apply(Pad(before: pads, after: pads, mode: .reflect), x, name: "mirror")
    let a = n.apply(Relu(), n.conv(padded, [6, 3, 3, 3], bias: true, "a"), name: "a.relu")
    let b = n.apply(Relu(), n.conv(a, [4, 6, 1, 1], bias: true, "b"), name: "b.relu")
    return n.classifying(b, 4)
  }

  /// A head of two convolutions on two levels, `conv a (4)` and `conv d (4)` of what is pooled of it: the
  /// first with one bias, the second with one for each level.
  package static var shared: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(Relu(), n.conv(x, [4, 2, 3, 3], bias: true, "a"), name: "a.relu")
    let half = n.apply(
      MaxPool(window: Window(kernel: [2, 2], strides: [2, 2])), a, name: "half")
    let d = n.apply(Relu(), n.conv(half, [4, 4, 1, 1], bias: true, "d"), name: "d.relu")
    let h1 = n.apply(Relu(), n.conv(a, [3, 4, 3, 3], bias: true, "h1"), name: "h1.relu")
    let k1 = n.conv(h1, [3, 3, 3, 3], bias: true, "k1")
    let h2 = n.apply(Relu(), n.repeating("h1", on: d, as: "h2"), name: "h2.relu")
    let k2 = n.repeating("k1", on: h2, bias: n.graph.addConstant("k2.b", n.tensor([3])), as: "k2")
    let pools = [k1, k2].enumerated().map {
      n.apply(GlobalAveragePool(), n.apply(Relu(), $1, name: "k\($0).relu"), name: "pool\($0)")
    }
    let features = n.apply(
      Flatten(), n.apply(Add(), pools[0], pools[1], name: "sum"), name: "flatten")
    n.output(n.linear(features, 3, 3, "classifier"), [3])
    return n
  }

  /// `conv a (4) → transposed t (3) → transposed u (4), normalized → conv c (3)`.
  package static var transposed: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(Relu(), n.conv(x, [4, 2, 3, 3], bias: true, "a"), name: "a.relu")
    let t = n.apply(
      Relu(), n.transposed(a, [4, 3, 2, 2], stride: 2, bias: true, "t"), name: "t.relu")
    let u = n.apply(
      Relu(), n.normalization(n.transposed(t, [3, 4, 3, 3], "u"), 4, "u.bn"), name: "u.relu")
    let c = n.apply(Relu(), n.conv(u, [3, 4, 1, 1], bias: true, "c"), name: "c.relu")
    return n.classifying(c, 3)
  }

  /// `conv a (4) → transposed t (2 groups of 2) → transposed u (3)`.
  package static var groupsTransposed: SmallNetwork {
    var n = SmallNetwork()
    let x = n.input([2, 4, 4])
    let a = n.apply(Relu(), n.conv(x, [4, 2, 3, 3], bias: true, "a"), name: "a.relu")
    let t = n.apply(
      Relu(), n.transposed(a, [4, 2, 3, 3], group: 2, stride: 2, bias: true, "t"), name: "t.relu")
    let u = n.apply(Relu(), n.transposed(t, [4, 3, 1, 1], bias: true, "u"), name: "u.relu")
    return n.classifying(u, 3)
  }

  /// All of them, by name.
  package static var all: [(name: String, network: SmallNetwork)] {
    [
      ("residual", residual), ("concatenating", concatenating), ("depthwise", depthwise),
      ("squeeze-excite", squeezeExcite), ("shared", shared), ("transposed", transposed),
      ("groups transposed", groupsTransposed),
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

extension SmallNetwork {
  /// Those whose axes are split and merged; they are no classifiers.
  package static var reshaping: [(name: String, network: SmallNetwork)] {
    [("attention", attention), ("shuffled", shuffled), ("split attention", splitAttention)]
  }

  /// Self-attention of two heads of three features over four tokens of five.
  package static var attention: SmallNetwork {
    var n = SmallNetwork(seed: 11)
    let x = n.input([4, 5])
    func matrix(_ name: String, _ shape: [Int]) -> ValueID {
      n.graph.addConstant(name, n.tensor(shape))
    }
    let all = n.apply(MatMul(), x, matrix("qkv.w", [5, 18]), name: "qkv")
    let split = n.apply(Reshape(target: [0, 4, 3, 2, 3]), all, name: "split")
    let parts = n.apply(Transpose(permutation: [2, 0, 3, 1, 4]), split, name: "parts")
    let (q, k, v) = (
      n.apply(Gather(axis: 0, indices: [0], indexShape: []), parts, name: "q"),
      n.apply(Gather(axis: 0, indices: [1], indexShape: []), parts, name: "k"),
      n.apply(Gather(axis: 0, indices: [2], indexShape: []), parts, name: "v")
    )
    let turned = n.apply(Transpose(permutation: [0, 1, 3, 2]), k, name: "turned")
    let scores = n.apply(Softmax(), n.apply(MatMul(), q, turned, name: "qk"), name: "scores")
    let mixed = n.apply(MatMul(), scores, v, name: "mixed")
    let joined = n.apply(
      Reshape(target: [0, 4, 6]),
      n.apply(Transpose(permutation: [0, 2, 1, 3]), mixed, name: "back"),
      name: "joined")
    n.output(n.apply(MatMul(), joined, matrix("out.w", [6, 5]), name: "out"), [4, 5])
    return n
  }

  /// A channel shuffle of two groups of three between two convolutions.
  package static var shuffled: SmallNetwork {
    var n = SmallNetwork(seed: 12)
    let a = n.conv(n.input([3, 4, 4]), [6, 3, 1, 1], "a")
    let groups = n.apply(Reshape(target: [0, 2, 3, 4, 4]), a, name: "groups")
    let turned = n.apply(Transpose(permutation: [0, 2, 1, 3, 4]), groups, name: "turned")
    let mixed = n.apply(Reshape(target: [0, 6, 4, 4]), turned, name: "mixed")
    n.output(n.conv(mixed, [4, 6, 3, 3], "b"), [4, 4, 4])
    return n
  }

  /// Two parts of four channels, weighed against each other channel by channel; the convolution before
  /// them has two groups.
  package static var splitAttention: SmallNetwork {
    var n = SmallNetwork(seed: 13)
    let a = n.conv(n.input([3, 4, 4]), [4, 3, 1, 1], bias: true, "a")
    let b = n.apply(Relu(), n.conv(a, [8, 2, 3, 3], group: 2, bias: true, "b"), name: "b.relu")
    let parts = n.apply(Reshape(target: [0, 2, 4, 4, 4]), b, name: "parts")
    let sum = n.apply(ReduceSum(axes: [1], keepsAxes: false), parts, name: "sum")
    let pooled = n.apply(GlobalAveragePool(), sum, name: "pooled")
    let s1 = n.apply(Relu(), n.conv(pooled, [3, 4, 1, 1], bias: true, "s1"), name: "s1.relu")
    let s2 = n.conv(s1, [8, 3, 1, 1], bias: true, "s2")
    let turned = n.apply(
      Transpose(permutation: [0, 2, 1, 3]),
      n.apply(Reshape(target: [0, 1, 2, 4]), s2, name: "split"),
      name: "turned")
    let shares = n.apply(Softmax(axis: 1), turned, name: "shares")
    let flat = n.apply(Reshape(target: [0, 8]), shares, name: "flat")
    let weights = n.apply(Reshape(target: [0, 2, 4, 1, 1]), flat, name: "weights")
    let mixed = n.apply(
      ReduceSum(axes: [1], keepsAxes: false), n.apply(Mul(), parts, weights, name: "weighed"),
      name: "mixed")
    n.output(n.conv(mixed, [4, 4, 1, 1], bias: true, "c"), [4, 4, 4])
    return n
  }
}
