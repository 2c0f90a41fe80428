import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  /// Operators with weights, and normalizations.
  static let layers: [OperatorSample] = [
    conv("plain, with bias", [2, 3, 5, 6], [4, 3, 3, 3], Window(kernel: [3, 3])),
    conv(
      "strided, dilated, asymmetric pads", [2, 2, 7, 6], [3, 2, 2, 3],
      Window(
        kernel: [2, 3], strides: [2, 1], dilations: [2, 1],
        padding: .explicit(begin: [0, 2], end: [1, 0])), bias: false),
    conv("grouped", [1, 6, 4, 4], [4, 3, 3, 3], Window(kernel: [3, 3]), group: 2),
    conv(
      "depthwise", [2, 4, 5, 5], [4, 1, 3, 3],
      Window(kernel: [3, 3], strides: [2, 2], padding: .sameUpper), group: 4),
    conv(
      "depthwise with a multiplier", [1, 3, 4, 4], [6, 1, 3, 3],
      Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1])), group: 3),
    conv("one axis", [2, 3, 7], [2, 3, 3], Window(kernel: [3], padding: .sameLower)),
    conv(
      "three axes", [1, 2, 3, 4, 3], [2, 2, 2, 2, 2], Window(kernel: [2, 2, 2], padding: .valid)),
    transposed("plain", [2, 3, 3, 4], [3, 2, 2, 3], Window(kernel: [2, 3])),
    transposed(
      "strided, padded, grouped", [1, 4, 3, 3], [4, 3, 3, 3],
      Window(
        kernel: [3, 3], strides: [2, 2], padding: .explicit(begin: [1, 0], end: [1, 1])), group: 2,
      outputPadding: [1, 0]),
    transposed(
      "one axis, dilated", [2, 3, 5], [3, 2, 3],
      Window(
        kernel: [3], strides: [3], dilations: [2], padding: .explicit(begin: [2], end: [1])),
      outputPadding: [2]),
    transposed(
      "three axes", [1, 2, 2, 3, 2], [2, 2, 2, 1, 3],
      Window(
        kernel: [2, 1, 3], strides: [1, 2, 2],
        padding: .explicit(begin: [1, 0, 0], end: [0, 0, 1]))
    ),
    transposed(
      "depthwise", [2, 3, 3, 3], [3, 1, 2, 2], Window(kernel: [2, 2], strides: [2, 2]), group: 3),
    transposed(
      "in three groups", [1, 6, 2, 2], [6, 4, 2, 2], Window(kernel: [2, 2]), group: 3),
    OperatorSample(
      "tokens", LayerNormalization(),
      [.random([2, 3, 4]), .random([4], seed: 1), .random([4], seed: 2)],
      constantInputs: [1, 2]),
    OperatorSample(
      "two axes, without bias", LayerNormalization(axis: 1),
      [.random([2, 3, 4]), .random([3, 4], seed: 1)],
      constantInputs: [1]),
    OperatorSample(
      "images", InstanceNormalization(),
      [.random([2, 3, 2, 3]), .random([3], seed: 1), .random([3], seed: 2)],
      constantInputs: [1, 2]),
    OperatorSample(
      "two groups", GroupNormalization(groups: 2),
      [.random([2, 4, 3]), .random([4], seed: 1), .random([4], seed: 2)], constantInputs: [1, 2]),
    einsum("a batch of products", "bij,bjk->bik", [2, 3, 4], [2, 4, 2]),
    einsum("of heads", "bhid, bhjd -> bhij", [1, 2, 3, 2], [1, 2, 3, 2]),
    einsum("one operand", "ijk->ki", [2, 3, 4]),
    normalization("images", [2, 3, 2, 2]),
    normalization("vectors", [4, 3]),
    OperatorSample(
      "as exported", Gemm(), [.random([3, 4]), .random([5, 4], seed: 1), .random([5], seed: 2)],
      constantInputs: [1, 2]),
    OperatorSample(
      "transposed, scaled, broadcast bias", Gemm(transA: true, transB: false, alpha: 0.5, beta: -2),
      [.random([4, 3]), .random([4, 5], seed: 1), .random([3, 1], seed: 2)], constantInputs: [1, 2]),
    OperatorSample(
      "without bias", Gemm(transB: false), [.random([3, 4]), .random([4, 2], seed: 1)],
      constantInputs: [1]),
    OperatorSample(
      "a weight", MatMul(), [.random([2, 3, 4]), .random([4, 5], seed: 1)], constantInputs: [1]),
    OperatorSample(
      "stacks, broadcast", MatMul(), [.random([2, 1, 3, 4]), .random([3, 4, 2], seed: 1)]),
    OperatorSample("vectors", MatMul(), [.random([4]), .random([4, 3], seed: 1)]),
    OperatorSample(
      "over channels", LRN(size: 3, alpha: 0.5, beta: 0.75, bias: 1.5), [.random([2, 5, 2, 2])]),
    OperatorSample("even window", LRN(size: 2, alpha: 0.3), [.random([2, 4])]),
    OperatorSample("last axis", Softmax(), [.random([3, 4])]),
    OperatorSample("middle axis", Softmax(axis: 1), [.random([2, 3, 2])]),
    OperatorSample("last axis", LogSoftmax(), [.random([3, 4])]),
  ]

  /// Large enough for Winograd's algorithm; too large for laws that touch every number.
  static let large: [OperatorSample] = [
    conv(
      "padded", [3, 17, 10, 13], [35, 17, 3, 3],
      Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1]))),
    conv(
      "one tile an image", [3, 9, 4, 4], [16, 9, 3, 3],
      Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1]))),
    conv(
      "asymmetric pads", [2, 24, 14, 9], [18, 24, 3, 3],
      Window(kernel: [3, 3], padding: .explicit(begin: [0, 2], end: [1, 0])), bias: false),
    conv(
      "wide", [112, 256, 3, 3], [512, 256, 3, 3],
      Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1]))),
  ]

  private static func conv(
    _ name: String, _ x: [Int], _ w: [Int], _ window: Window, group: Int = 1, bias: Bool = true
  ) -> OperatorSample {
    let inputs = [.random(x), .random(w, seed: 1)] + (bias ? [Tensor.random([w[0]], seed: 2)] : [])
    return OperatorSample(
      name, Conv(window: window, group: group), inputs, constantInputs: bias ? [1, 2] : [1])
  }

  private static func einsum(_ name: String, _ equation: String, _ shapes: [Int]...)
    -> OperatorSample
  {
    guard let op = try? Einsum(equation: equation) else { preconditionFailure(equation) }
    return OperatorSample(name, op, shapes.enumerated().map { .random($1, seed: $0) })
  }

  private static func transposed(
    _ name: String, _ x: [Int], _ w: [Int], _ window: Window, group: Int = 1,
    outputPadding: [Int]? = nil
  ) -> OperatorSample {
    OperatorSample(
      name, ConvTranspose(window: window, group: group, outputPadding: outputPadding),
      [.random(x), .random(w, seed: 1), .random([w[1] * group], seed: 2)], constantInputs: [1, 2])
  }

  private static func normalization(_ name: String, _ shape: [Int]) -> OperatorSample {
    let parameters = (1...3).map { Tensor.random([shape[1]], seed: $0) }
    return OperatorSample(
      name, BatchNormalization(),
      [.random(shape)] + parameters + [.random([shape[1]], in: 0.5...2, seed: 4)],
      constantInputs: [1, 2, 3, 4], differentiable: [0, 1, 2])
  }
}
