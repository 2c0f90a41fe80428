import NapGraph
import NapOperators
import NapTensor

// Blocks of operators that are met more rarely.
extension RandomNetwork {
  /// One that computes every number by itself, where any number may go into it.
  mutating func addFunction() {
    let functions: [any Operator] = [
      Abs(), Celu(alpha: 0.7), Clip(lower: -0.5, upper: 1), Clip(upper: 0.5), Dropout(), Elu(),
      Erf(), Gelu(), Gelu(isApproximate: true), HardSigmoid(), HardSwish(), Identity(),
      LeakyRelu(slope: 0.2), Mish(), Neg(), Selu(), Sigmoid(), Softplus(), Softsign(), Tanh(),
    ]
    let x = conv(current, activated: false)
    current = x
    switch number(in: 0...4) {
    case 0: current.value = apply(Exp(), [apply(Tanh(), [x.value])])
    case 1:
      // Away from where they have no derivative, or one too large.
      let positive = apply(Add(), [apply(Sigmoid(), [x.value]), constant([], 0.5...0.5)])
      let functions: [any Operator] = [Log(), Reciprocal(), Sqrt()]
      current.value = apply(functions[number(in: 0...2)], [positive])
    case 2: current.value = apply(PRelu(), [x.value, constant([x.channels, 1, 1], 0...0.5)])
    default: current.value = apply(functions[number(in: 0...functions.count - 1)], [x.value])
    }
  }

  /// With numbers of the channels, of the network, or with another value.
  mutating func addArithmetic() {
    let operators: [any Operator] = [Add(), Sub(), Mul(), Div(), Max(), Min()]
    let op = operators[number(in: 0...operators.count - 1)]
    let shapes = [[current.channels, 1, 1], [], [1, current.channels, 1, 1], [current.size]]
    let choice = number(in: 0...shapes.count)
    let other: ValueID
    if choice < shapes.count {
      other = constant(shapes[choice], 0.5...1.5)
    } else {
      let sigmoid = apply(Sigmoid(), [conv(current, to: current.channels).value])
      other = apply(Add(), [sigmoid, constant([], 0.5...0.5)])
    }
    let turned = number(in: 0...3) == 0 && op.name != Div.name
    current.value = apply(op, turned ? [other, current.value] : [current.value, other])
    current = conv(current)
  }

  mutating func addPool() {
    let (kernel, stride) = (number(in: 2...3), number(in: 1...2))
    guard current.size > 3 else { return current = conv(current, kernel: 1) }
    let pad = number(in: 0...1)
    let window = Window(
      kernel: [kernel, kernel], strides: [stride, stride],
      padding: .explicit(begin: [pad, pad], end: [pad, pad]))
    let pools: [any Operator] = [
      MaxPool(window: window), AveragePool(window: window),
      AveragePool(window: window, countsPadding: true),
    ]
    current.value = apply(pools[number(in: 0...2)], [current.value])
    current.size = (current.size + 2 * pad - kernel) / stride + 1
    current = conv(current)
  }

  mutating func addPadding() {
    let mode = Pad.Mode.allCases[number(in: 0...Pad.Mode.allCases.count - 1)]
    let (before, after) = (number(in: 0...1), number(in: 0...1))
    let pad = Pad(
      before: [0, 0, before, before], after: [0, 0, after, after], mode: mode,
      value: mode == .constant ? Float(number(in: 0...1)) : 0)
    guard current.size > 1, current.size < 9 else { return current = conv(current, kernel: 1) }
    current.value = apply(pad, [current.value])
    current.size += before + after
    current = conv(current)
  }

  mutating func addNormalization() {
    // Epsilons are large: what pruning has made constant varies by rounding alone, not to be blown up.
    let x = conv(current, to: 2 * number(in: 1...4), activated: false)
    let (scale, bias) = (constant([x.channels], 0.5...1.5), constant([x.channels], -0.3...0.3))
    current = x
    switch number(in: 0...3) {
    case 0:
      current.value = apply(GroupNormalization(groups: 2, epsilon: 0.1), [x.value, scale, bias])
    case 1 where x.size > 1:
      current.value = apply(InstanceNormalization(epsilon: 0.1), [x.value, scale, bias])
    case 2: current.value = apply(LRN(size: 3, alpha: 0.1), [x.value])
    default:
      let turned = apply(Transpose(permutation: [0, 2, 3, 1]), [x.value])
      let normalized = apply(LayerNormalization(axis: -1, epsilon: 0.1), [turned, scale, bias])
      current.value = apply(Transpose(permutation: [0, 3, 1, 2]), [normalized])
    }
    current = conv(current)
  }

  /// Two layers over the last axis, the channels, as exporters of other frameworks write it.
  mutating func addChannelsLast() {
    let (width, inner) = (current.channels, 2 * number(in: 1...4))
    var value = apply(Transpose(permutation: [0, 2, 3, 1]), [current.value])
    value = apply(Gelu(), [linear(value, width, inner)])
    value = linear(value, inner, width)
    current.value = apply(Transpose(permutation: [0, 3, 1, 2]), [value])
  }

  /// Some channels, in some order, perhaps several times.
  mutating func addSelection() {
    let (x, count) = (current, current.channels)
    switch number(in: 0...2) {
    case 0:
      let start = number(in: 0...count - 1)
      let end = number(in: start + 1...count)
      current.value = apply(Slice([.init(axis: 1, start: start, end: end)]), [x.value])
      current.channels = end - start
    case 1:
      let indices = (0..<number(in: 1...count)).map { _ in number(in: 0...count - 1) }
      current.value = apply(Gather(axis: 1, indices: indices), [x.value])
      current.channels = indices.count
    default:
      current.value = apply(Tile(repeats: [1, 2, 1, 1]), [x.value])
      current.channels = 2 * count
    }
    current = conv(current)
  }

  mutating func addResolution() {
    let x = current
    switch number(in: 0...2) {
    case 0 where x.size % 2 == 0:
      current.value = apply(SpaceToDepth(blockSize: 2), [x.value])
      current.channels = 4 * x.channels
      current.size = x.size / 2
    case 1 where x.size < 6:
      let four = conv(x, to: 4 * number(in: 1...2))
      let depth = DepthToSpace(blockSize: 2, isColumnRowDepth: number(in: 0...1) == 0)
      current.value = apply(depth, [four.value])
      current.channels = four.channels / 4
      current.size = 2 * x.size
    default:
      let size = number(in: 2...8)
      let mode: Resize.Mode = number(in: 0...1) == 0 ? .nearest : .linear
      current.value = apply(
        Resize(axes: [2, 3], to: .sizes([size, size]), mode: mode), [x.value])
      current.size = size
    }
    current = conv(current)
  }

  /// What the channels or positions have in common, given back to all of them.
  mutating func addReduction() {
    let axes = [[2, 3], [1], [2], [1, 2, 3]][number(in: 0...3)]
    let reductions: [any Operator] = [
      ReduceMean(axes: axes), ReduceMax(axes: axes), ReduceMin(axes: axes), ReduceL2(axes: axes),
    ]
    let reduced = apply(reductions[number(in: 0...reductions.count - 1)], [current.value])
    current.value = apply(number(in: 0...1) == 0 ? Add() : Sub(), [current.value, reduced])
    current = conv(current)
  }

  /// Of a shape that classifiers and detectors do not have.
  mutating func addRareOutput() {
    let x = conv(current, to: number(in: 2...4), activated: false)
    let (channels, positions) = (x.channels, x.size * x.size)
    let tokens = apply(Reshape(target: [0, channels, positions]), [x.value])
    let any = Dimension.dynamic("N")
    let side = Dimension.fixed(x.size)
    let (value, dimensions): (ValueID, [Dimension]) =
      switch number(in: 0...7) {
      case 0: (tokens, [any, .fixed(channels), .fixed(positions)])
      case 1:
        (
          apply(Transpose(permutation: [0, 2, 1]), [tokens]),
          [any, .fixed(positions), .fixed(channels)]
        )
      case 2: (apply(ReduceMean(axes: [1, 2, 3], keepsAxes: false), [x.value]), [any])
      case 3:
        (apply(ReduceMax(axes: [1], keepsAxes: true), [x.value]), [any, .fixed(1), side, side])
      case 4: (apply(Softmax(axis: 1), [x.value]), [any, .fixed(channels), side, side])
      case 5: (apply(Sigmoid(), [tokens]), [any, .fixed(channels), .fixed(positions)])
      case 6: (apply(ArgMax(axis: 1), [x.value]), [any, .fixed(1), side, side])
      default:
        // The batch last.
        (
          apply(Transpose(permutation: [1, 2, 0]), [tokens]),
          [.fixed(channels), .fixed(positions), any]
        )
      }
    graph.outputs.append(.init(value: value, dimensions: dimensions))
  }
}
