import NapGraph
import NapTensor
import Testing

/// An operator with inputs to try it on: what the laws of operators run over.
struct OperatorSample: Sendable, CustomTestStringConvertible {
  /// What the sample shows, in a few words.
  var name: String
  var op: any Operator
  /// Inputs away from kinks, where differences of width 0.02 see a smooth function.
  var inputs: [Tensor]
  /// Which inputs are constants of the network: weights and statistics.
  var constantInputs: Set<Int>
  /// Which inputs have a derivative.
  var differentiable: Set<Int>
  var outputCount: Int
  /// Whether the operator lets no index go.
  var isRigid: Bool

  init(
    _ name: String, _ op: any Operator, _ inputs: [Tensor], constantInputs: Set<Int> = [],
    differentiable: Set<Int>? = nil, outputCount: Int = 1, isRigid: Bool = false
  ) {
    self.name = name
    self.op = op
    self.inputs = inputs
    self.constantInputs = constantInputs
    self.differentiable =
      differentiable ?? Set(inputs.indices.filter { inputs[$0].isFloat })
    self.outputCount = outputCount
    self.isRigid = isRigid
  }

  var testDescription: String { "\(op.name): \(name)" }
}

extension Tensor {
  /// Numbers from `range`, uniform, at least 0.05 away from every number in `kinks`.
  static func random(
    _ shape: [Int], in range: ClosedRange<Float> = -2...2, awayFrom kinks: [Float] = [],
    seed: Int = 0
  ) -> Tensor {
    var generator = Seed(7).derived(seed).derived("\(shape)").generator()
    let numbers = (0..<shape.product).map { _ in
      while true {
        let x = range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform()
        if kinks.allSatisfy({ abs(x - $0) > 0.05 }) { return x }
      }
    }
    return Tensor(shape: shape, floats: numbers)
  }
}
