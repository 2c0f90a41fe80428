package import NapGraph
import NapOperators
package import NapTensor

/// Networks of random blocks that exercise everything channels can be tied by, small enough for hundreds.
///
/// Weights are as large as He et al. 2015 draw them, so that signals live through many layers.
package struct RandomNetwork {
  package internal(set) var graph = Graph()
  /// What it is made of, for whoever looks into a failure.
  package private(set) var blocks: [String] = []
  private var random: SplitMix64
  var current: Image
  private var names = 0

  /// A value `[N, channels, size, size]`.
  struct Image {
    var value: ValueID
    var channels: Int
    var size: Int
  }

  /// - Parameter hasRareOutputs: whether values of any shape may be outputs, in any order.
  package init(seed: Seed, hasRareOutputs: Bool = false) {
    random = seed.generator()
    let x = graph.addValue("x")
    graph.inputs = [.init(value: x, dimensions: [.dynamic("N"), .fixed(3), .fixed(6), .fixed(6)])]
    current = Image(value: x, channels: 3, size: 6)
    current = conv(current, to: 6, kernel: 3)
    var early: Image?
    for index in 0..<number(in: 3...6) {
      addBlock()
      if index == 1, number(in: 0...2) == 0 { early = current }
    }
    if let early { addOutput(early, "early") }
    addOutput(current, "late")
    guard hasRareOutputs else { return }
    for _ in 0..<number(in: 0...2) { addRareOutput() }
    graph.outputs.shuffle(using: &random)
  }

  /// Some inputs for it.
  package mutating func inputs(_ count: Int) -> Tensor { tensor([count, 3, 6, 6], fanIn: 6) }
}

// MARK: Blocks
extension RandomNetwork {
  private mutating func addBlock() {
    let all: [(String, (inout RandomNetwork) -> Void)] = [
      ("plain", { $0.current = $0.conv($0.current) }),
      ("residual", { $0.addResidual() }),
      ("concatenating", { $0.addConcatenation() }),
      ("groups", { $0.addGroups() }),
      ("depthwise", { $0.addDepthwise() }),
      ("shuffled", { $0.addShuffle() }),
      ("split", { $0.addSplit() }),
      ("transposed", { $0.addTransposed(group: 1) }),
      ("groups transposed", { $0.addTransposed(group: 2) }),
      ("shared", { $0.addShared() }),
      ("gated", { $0.addGate() }),
      ("attention", { $0.addAttention() }),
      ("function", { $0.addFunction() }),
      ("arithmetic", { $0.addArithmetic() }),
      ("pool", { $0.addPool() }),
      ("padding", { $0.addPadding() }),
      ("normalization", { $0.addNormalization() }),
      ("channels last", { $0.addChannelsLast() }),
      ("selection", { $0.addSelection() }),
      ("resolution", { $0.addResolution() }),
      ("reduction", { $0.addReduction() }),
    ]
    let (name, add) = all[number(in: 0...all.count - 1)]
    blocks.append(name)
    add(&self)
  }

  private mutating func addResidual() {
    let inner = conv(conv(current), to: current.channels, activated: false)
    current.value = apply(Relu(), [apply(Add(), [current.value, inner.value])])
  }

  private mutating func addConcatenation() {
    let (a, b) = (conv(current), number(in: 0...1) == 0 ? conv(current) : current)
    current = Image(
      value: apply(Concat(axis: 1), [a.value, b.value]), channels: a.channels + b.channels,
      size: current.size)
  }

  private mutating func addGroups() {
    let even = conv(current, to: 2 * number(in: 2...3))
    let grouped = conv(even, to: 2 * number(in: 1...3), group: 2, kernel: 3)
    current = conv(grouped, kernel: 1)
  }

  private mutating func addDepthwise() {
    current = conv(current, to: current.channels * number(in: 1...2), group: current.channels)
  }

  private mutating func addShuffle() {
    let x = conv(current, to: 2 * number(in: 2...4))
    let (channels, size) = (x.channels, x.size)
    var value = apply(Reshape(target: [0, 2, channels / 2, size, size]), [x.value])
    value = apply(Transpose(permutation: [0, 2, 1, 3, 4]), [value])
    value = apply(Reshape(target: [0, channels, size, size]), [value])
    current = conv(
      Image(value: value, channels: channels, size: size), group: number(in: 1...2) == 1 ? 1 : 2)
  }

  private mutating func addSplit() {
    let first = number(in: 1...current.channels - 1)
    let sizes = [first, current.channels - first]
    let parts = addNode(Split(axis: 1, sizes: sizes), [current.value], outputCount: 2)
    let a = conv(Image(value: parts[0], channels: sizes[0], size: current.size))
    current = Image(
      value: apply(Concat(axis: 1), [parts[1], a.value]), channels: sizes[1] + a.channels,
      size: current.size)
  }

  private mutating func addTransposed(group: Int) {
    let x = conv(current, to: group * number(in: 2...3))
    let (stride, kernel) = (number(in: 1...2), number(in: 2...3))
    let perGroup = number(in: 1...3)
    let channels = group * perGroup
    let whole = stride * (x.size - 1) + kernel
    let pad = min(number(in: 0...1), (whole - 1) / 2)
    let size = whole - 2 * pad
    let window = Window(
      kernel: [kernel, kernel], strides: [stride, stride],
      padding: .explicit(begin: [pad, pad], end: [pad, pad]))
    let weight = tensor([x.channels, perGroup, kernel, kernel], fanIn: x.channels / group * 3)
    let y = biased(
      ConvTranspose(window: window, group: group), x.value, constant(weight), channels)
    current = Image(value: y, channels: channels, size: size)
    if size > 8 {
      let pool = MaxPool(window: Window(kernel: [2, 2], strides: [2, 2]))
      current.value = apply(pool, [y])
      current.size = size / 2
    }
    current = conv(current, kernel: 1)
  }

  /// One weight on two values, whose biases are one, two, none or in normalizations.
  private mutating func addShared() {
    let (a, b) = (conv(current, to: 4), conv(current, to: 4))
    let channels = number(in: 2...5)
    let kernel = 2 * number(in: 0...1) + 1
    let weight = constant(tensor([channels, 4, kernel, kernel], fanIn: 4 * kernel * kernel))
    let op = Conv(window: window(kernel))
    let bias = number(in: 0...3)
    let common = constant(tensor([channels], fanIn: 20))
    let values = [a, b].map { image -> ValueID in
      var inputs = [image.value, weight]
      if bias == 0 { inputs.append(common) }
      if bias == 1 { inputs.append(constant(tensor([channels], fanIn: 20))) }
      let y = apply(op, inputs)
      return apply(Relu(), [bias == 2 ? normalized(y, channels) : y])
    }
    let adds = number(in: 0...1) == 0
    current = Image(
      value: apply(adds ? Add() : Concat(axis: 1) as any Operator, values),
      channels: adds ? channels : 2 * channels, size: current.size)
  }

  private mutating func addGate() {
    let pooled = Image(
      value: apply(GlobalAveragePool(), [current.value]), channels: current.channels, size: 1)
    let gate = conv(
      conv(pooled, to: 2, kernel: 1), to: current.channels, kernel: 1, activated: false)
    current.value = apply(Mul(), [current.value, apply(Sigmoid(), [gate.value])])
  }

  /// Of two heads over the pixels, as exporters write it.
  private mutating func addAttention() {
    let (size, width, head) = (current.size, current.channels, number(in: 1...3))
    let (tokens, inner) = (size * size, 2 * head)
    var value = apply(Reshape(target: [0, width, tokens]), [current.value])
    value = apply(Transpose(permutation: [0, 2, 1]), [value])
    func parts(_ network: inout RandomNetwork) -> [ValueID] {
      let all = network.linear(value, width, 3 * inner)
      let split = network.apply(Reshape(target: [0, tokens, 3, 2, head]), [all])
      let turned = network.apply(Transpose(permutation: [2, 0, 3, 1, 4]), [split])
      return (0..<3).map {
        network.apply(Gather(axis: 0, indices: [$0], indexShape: []), [turned])
      }
    }
    let qkv = parts(&self)
    let turned = apply(Transpose(permutation: [0, 1, 3, 2]), [qkv[1]])
    let scores = apply(Softmax(), [apply(MatMul(), [qkv[0], turned])])
    let mixed = apply(MatMul(), [scores, qkv[2]])
    let joined = apply(
      Reshape(target: [0, tokens, inner]), [apply(Transpose(permutation: [0, 2, 1, 3]), [mixed])])
    let sum = apply(Add(), [value, linear(joined, inner, width)])
    let back = apply(Transpose(permutation: [0, 2, 1]), [sum])
    current.value = apply(Reshape(target: [0, width, size, size]), [back])
  }

  private mutating func addOutput(_ image: Image, _ name: String) {
    if number(in: 0...3) == 0 {
      let y = conv(image, to: 2, kernel: 1, activated: false)
      graph.outputs.append(
        .init(
          value: y.value,
          dimensions: [.dynamic("N"), .fixed(2), .fixed(image.size), .fixed(image.size)]))
      return
    }
    let last = conv(image)
    let features = apply(Flatten(), [apply(GlobalAveragePool(), [last.value])])
    let weight = constant(tensor([3, last.channels], fanIn: last.channels))
    let y = apply(Gemm(), [features, weight, constant(tensor([3], fanIn: 20))])
    graph.outputs.append(.init(value: y, dimensions: [.dynamic("N"), .fixed(3)]))
  }
}

// MARK: Pieces
extension RandomNetwork {
  mutating func number(in range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &random)
  }

  private mutating func tensor(_ shape: [Int], fanIn: Int) -> Tensor {
    let bound = (6 / Float(fanIn)).squareRoot()
    return Tensor(
      shape: shape, floats: (0..<shape.product).map { _ in bound * (2 * random.uniform() - 1) })
  }

  private mutating func name(_ what: String) -> String {
    names += 1
    return "\(what)\(names)"
  }

  mutating func constant(_ shape: [Int], _ range: ClosedRange<Float>) -> ValueID {
    let width = range.upperBound - range.lowerBound
    let floats = (0..<shape.product).map { _ in range.lowerBound + width * random.uniform() }
    return constant(Tensor(shape: shape, floats: floats))
  }

  mutating func constant(_ tensor: Tensor) -> ValueID {
    graph.addConstant(name("w"), tensor)
  }

  private mutating func addNode(_ op: any Operator, _ inputs: [ValueID], outputCount: Int = 1)
    -> [ValueID]
  {
    graph.addNode(name(op.name), op, inputs, outputCount: outputCount)
  }

  mutating func apply(_ op: any Operator, _ inputs: [ValueID]) -> ValueID {
    addNode(op, inputs)[0]
  }

  private func window(_ kernel: Int) -> Window {
    let pads = [kernel / 2, kernel / 2]
    return Window(kernel: [kernel, kernel], padding: .explicit(begin: pads, end: pads))
  }

  /// With a bias, a normalization, both or neither, and a function behind it or not.
  private mutating func biased(
    _ op: any AffineOperator, _ x: ValueID, _ weight: ValueID, _ channels: Int,
    activated: Bool = true
  ) -> ValueID {
    let hasBias = number(in: 0...1) == 0
    var y = apply(op, [x, weight] + (hasBias ? [constant(tensor([channels], fanIn: 20))] : []))
    if number(in: 0...2) == 0 { y = normalized(y, channels) }
    return activated && number(in: 0...4) > 0 ? apply(Relu(), [y]) : y
  }

  mutating func conv(
    _ x: Image, to channels: Int? = nil, group: Int = 1, kernel: Int? = nil, activated: Bool = true
  ) -> Image {
    let channels = channels ?? 2 * number(in: 1...4)
    let size = kernel ?? (2 * number(in: 0...1) + 1)
    let fanIn = x.channels / group * size * size
    let weight = constant(tensor([channels, x.channels / group, size, size], fanIn: fanIn))
    let y = biased(
      Conv(window: window(size), group: group), x.value, weight, channels, activated: activated)
    return Image(value: y, channels: channels, size: x.size)
  }

  private mutating func normalized(_ x: ValueID, _ channels: Int) -> ValueID {
    let parameters = [0.5...1.5, -0.3...0.3, -0.3...0.3, 0.5...2].map { constant([channels], $0) }
    return apply(BatchNormalization(), [x] + parameters)
  }

  mutating func linear(_ x: ValueID, _ inputs: Int, _ outputs: Int) -> ValueID {
    let y = apply(MatMul(), [x, constant(tensor([inputs, outputs], fanIn: inputs))])
    return number(in: 0...1) == 0
      ? y : apply(Add(), [y, constant(tensor([outputs], fanIn: 20))])
  }
}
