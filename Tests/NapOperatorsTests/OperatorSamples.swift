import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  /// Samples of every operator: the laws run over all of them.
  static let all = elementwise + arithmetic + movement + layers + pools

  /// Functions all over the range of their samples, and what sums up many numbers.
  static let precise = dense + sums

  private static let dense = elementwise.compactMap { sample -> OperatorSample? in
    guard !sample.differentiable.isEmpty else { return nil }
    let numbers = sample.inputs[0].floats
    var dense = sample
    dense.inputs[0] = .random([2, 16, 16, 16], in: (numbers.min() ?? 0)...(numbers.max() ?? 1))
    return dense
  }

  private static let sums: [OperatorSample] = {
    let x = Tensor.random([2, 4, 50, 50], in: 0.5...1.5)
    func normalization(_ op: any Operator, _ shape: [Int] = [4]) -> OperatorSample {
      OperatorSample(
        "many numbers", op, [x, .random(shape, seed: 1), .random(shape, seed: 2)],
        constantInputs: [1, 2])
    }
    return [
      normalization(LayerNormalization(axis: 1), [4, 50, 50]),
      normalization(InstanceNormalization()),
      normalization(GroupNormalization(groups: 2)),
      OperatorSample("many numbers", GlobalAveragePool(), [x]),
      OperatorSample("many numbers", ReduceMean(axes: [2, 3]), [x]),
    ]
  }()
}
