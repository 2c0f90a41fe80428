import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  static let pools: [OperatorSample] = [
    OperatorSample(
      "overlapping, padded",
      MaxPool(
        window: Window(
          kernel: [3, 3], strides: [2, 2], padding: .explicit(begin: [1, 1], end: [1, 1]))),
      [spread([2, 3, 5, 6])]),
    OperatorSample(
      "dilated, rounding up",
      MaxPool(
        window: Window(kernel: [2, 2], strides: [2, 2], dilations: [2, 1], roundsUp: true)),
      [spread([1, 2, 6, 5])]),
    OperatorSample("one axis", MaxPool(window: Window(kernel: [2])), [spread([1, 2, 5])]),
    OperatorSample(
      "without the padding",
      AveragePool(
        window: Window(
          kernel: [3, 2], strides: [2, 1], padding: .explicit(begin: [1, 0], end: [1, 1]))),
      [.random([2, 2, 5, 4])]),
    OperatorSample(
      "with the padding",
      AveragePool(
        window: Window(
          kernel: [3, 3], strides: [2, 2], padding: .explicit(begin: [1, 1], end: [1, 1])),
        countsPadding: true), [.random([1, 2, 5, 5])]),
    OperatorSample(
      "with the padding, rounding up",
      AveragePool(
        window: Window(
          kernel: [3, 3], strides: [2, 2], padding: .explicit(begin: [0, 1], end: [0, 1]),
          roundsUp: true),
        countsPadding: true), [.random([1, 2, 6, 6])]),
    OperatorSample(
      "rounding up", AveragePool(window: Window(kernel: [2, 2], strides: [2, 2], roundsUp: true)),
      [.random([1, 2, 5, 5])]),
    OperatorSample("images", GlobalAveragePool(), [.random([2, 3, 4, 5])]),
    OperatorSample(
      "positions", ReduceMean(axes: [2, 3], keepsAxes: false), [.random([2, 3, 4, 2])]),
    OperatorSample("positions, kept", ReduceMean(axes: [-1, -2]), [.random([2, 3, 4, 2])]),
    OperatorSample("an inner axis", ReduceMean(axes: [1], keepsAxes: false), [.random([2, 3, 4])]),
    OperatorSample("images", GlobalMaxPool(), [spread([2, 3, 2, 3])]),
    OperatorSample(
      "positions", ReduceL1(axes: [2], keepsAxes: false), [.random([2, 3, 4], awayFrom: [0])]),
    OperatorSample("channels", ReduceL2(axes: [1]), [.random([2, 3, 4])]),
    OperatorSample("positions", ReduceMax(axes: [-1], keepsAxes: false), [spread([2, 3, 4])]),
    OperatorSample("positions", ReduceMin(axes: [2]), [spread([2, 3, 4])]),
    OperatorSample("positions", ReduceProd(axes: [2]), [.random([2, 3, 3])]),
    OperatorSample("channels", ReduceSum(axes: [1], keepsAxes: false), [.random([2, 3, 4])]),
    OperatorSample("no axis", ReduceSumSquare(axes: nil), [.random([2, 3])]),
    OperatorSample("channels", ArgMax(axis: 1), [spread([2, 4, 3])]),
    OperatorSample("the last axis", ArgMax(axis: -1, keepsAxis: false), [spread([2, 3, 4])]),
    OperatorSample("positions", ArgMin(axis: 2, keepsAxis: false), [spread([2, 3, 4])]),
    OperatorSample("channels", TopK(count: 2, axis: 1), [spread([2, 4, 3])], outputCount: 2),
    OperatorSample(
      "the smallest", TopK(count: 3, isLargest: false), [spread([2, 3, 4])], outputCount: 2),
    OperatorSample(
      "everything", ReduceMean(axes: nil, keepsAxes: false), [.random([2, 3])], isRigid: true),
  ]

  /// Numbers no two of which are close: the largest of some stays the largest when one moves.
  private static func spread(_ shape: [Int]) -> Tensor {
    var generator = Seed(5).derived("\(shape)").generator()
    let order = (0..<shape.product).shuffled(using: &generator)
    return Tensor(shape: shape, floats: order.map { Float($0) * 0.1 - 2 })
  }
}
