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
    elementwise("as it is", Dropout(ratio: 0.3)),
    elementwise("default", HardSigmoid(), in: -5...5, kinks: [-2.5, 2.5]),
    elementwise("of MobileNet", HardSigmoid(slope: 1 / 6), in: -5...5, kinks: [-3, 3]),
    elementwise("all pieces", HardSwish(), in: -5...5, kinks: [-3, 3]),
    elementwise("as it is", Identity()),
    OperatorSample("integers", Identity(), [Tensor([3, 4])]),
    elementwise("default", LeakyRelu(), kinks: [0]),
    elementwise("steep", LeakyRelu(slope: 0.3), kinks: [0]),
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

  static let arithmetic = pairs(Add()) + pairs(Div()) + pairs(Mul()) + pairs(Sub())
}
