import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  private static func elementwise(
    _ name: String, _ op: any Operator, in range: ClosedRange<Float> = -2...2, kinks: [Float] = []
  ) -> OperatorSample {
    OperatorSample(name, op, [.random([2, 3, 2, 2], in: range, awayFrom: kinks)])
  }

  static let elementwise = [
    elementwise("float to float", Cast(to: .float32)),
    OperatorSample(
      "integers to float", Cast(to: .float32),
      [Tensor(shape: [2, 3], integers: [1, -2, 3, 4, 5, 0])]),
    OperatorSample("to integers", Cast(to: .int32), [.random([2, 3])], differentiable: []),
    OperatorSample("to booleans", Cast(to: .bool), [.random([2, 3])], differentiable: []),
    elementwise("both bounds", Clip(lower: -0.5, upper: 1), kinks: [-0.5, 1]),
    elementwise("upper bound", Clip(upper: 0.5), kinks: [0.5]),
    elementwise("no bound", Clip()),
    elementwise("crossed bounds", Clip(lower: 0.5, upper: -0.5)),
    elementwise("as it is", Dropout(ratio: 0.3)),
    elementwise("default", HardSigmoid(), in: -5...5, kinks: [-2.5, 2.5]),
    elementwise("of MobileNet", HardSigmoid(slope: 1 / 6), in: -5...5, kinks: [-3, 3]),
    elementwise("all pieces", HardSwish(), in: -5...5, kinks: [-3, 3]),
    elementwise("as it is", Identity()),
    OperatorSample("integers", Identity(), [Tensor([3, 4])]),
    elementwise("default", LeakyRelu(), kinks: [0]),
    elementwise("steep", LeakyRelu(slope: 0.3), kinks: [0]),
    elementwise("default", ThresholdedRelu(), kinks: [1]),
    elementwise("below zero", ThresholdedRelu(alpha: -0.5), kinks: [-0.5]),
    elementwise("both signs", Abs(), kinks: [0]),
    elementwise("both pieces", Celu(alpha: 0.7), kinks: [0]),
    elementwise("default", Elu(), kinks: [0]),
    elementwise("small", Elu(alpha: 0.3), kinks: [0]),
    elementwise("moderate", Erf()),
    elementwise("moderate", Exp()),
    elementwise("exact", Gelu()),
    elementwise("approximate", Gelu(isApproximate: true)),
    elementwise("positive", Log(), in: 0.3...3),
    elementwise("moderate", Mish()),
    elementwise("both signs", Neg()),
    OperatorSample("integers", Neg(), [Tensor([3, -4])]),
    elementwise("positive", Reciprocal(), in: 0.4...3),
    elementwise("both pieces", Selu(), kinks: [0]),
    elementwise("moderate", Softplus()),
    elementwise("moderate", Softsign(), kinks: [0]),
    elementwise("positive", Sqrt(), in: 0.3...3),
    elementwise("both pieces", Relu(), kinks: [0]),
    elementwise("moderate", Sigmoid(), in: -4...4),
    elementwise("moderate", Tanh()),
  ]

  private static func pairs(_ op: any Operator) -> [OperatorSample] {
    let operand: (Float, Float) = (0.5, 2)
    func b(_ shape: [Int]) -> Tensor { .random(shape, in: operand.0...operand.1, seed: 1) }
    return [
      OperatorSample("equal shapes", op, [.random([2, 3, 4]), b([2, 3, 4])]),
      OperatorSample(
        "one number a channel", op, [.random([2, 3, 2, 4]), b([3, 1, 1])], constantInputs: [1]),
      OperatorSample("a vector", op, [.random([2, 5]), b([5])], constantInputs: [1]),
      OperatorSample("a scalar", op, [.random([2, 3]), b([])], constantInputs: [1]),
      OperatorSample("the left is broadcast", op, [.random([1, 3, 1]), b([2, 3, 4])]),
      OperatorSample("both are broadcast", op, [.random([2, 1, 3]), b([4, 1])]),
      OperatorSample(
        "integers", op, [Tensor(shape: [2, 2], integers: [7, -7, 5, 4]), Tensor([2, 3])]),
    ]
  }

  static let arithmetic =
    pairs(Add()) + pairs(Div()) + pairs(Mul()) + pairs(Sub()) + choices + [
      OperatorSample(
        "a square", Pow(), [.random([2, 3], in: 0.5...2), .init(shape: [], floats: [2])],
        constantInputs: [1], differentiable: [0, 1]),
      OperatorSample(
        "computed", Pow(), [.random([2, 3], in: 0.5...2), .random([3], in: 0.5...2, seed: 1)]),
    ]

  /// Kinks lie where the operands are equal, or the first is 0.
  private static let choices = [
    OperatorSample("apart", Max(), [.random([2, 3], in: 0...1), .random([3], in: -1 ... -0.1)]),
    OperatorSample("apart", Min(), [.random([2, 3], in: 0...1), .random([3], in: -1 ... -0.1)]),
    OperatorSample(
      "a scalar", Greater(),
      [.random([2, 3, 4], awayFrom: [0.25]), Tensor(shape: [], floats: [0.25])],
      constantInputs: [1], differentiable: []),
    OperatorSample(
      "the left is broadcast", Greater(),
      [Tensor(shape: [1, 3, 1], repeating: 0.25), .random([2, 3, 4], awayFrom: [0.25])],
      differentiable: []),
    OperatorSample(
      "integers", Greater(), [Tensor([2, -3, 7]), Tensor([1, 5, 7])], differentiable: []),
    OperatorSample("integers", Max(), [Tensor([2, -3]), Tensor([1, 5])]),
    OperatorSample(
      "one slope a channel", PRelu(),
      [.random([2, 3, 2], awayFrom: [0]), .random([3, 1], seed: 1)], constantInputs: [1]),
    OperatorSample(
      "chosen",
      Where(
        condition: Tensor(shape: [2, 1, 3], integers: [1, 0, 1, 0, 0, 1], elementType: .bool)),
      [.random([2, 4, 3]), .random([4, 1], seed: 1)]),
  ]
}
