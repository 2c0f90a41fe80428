import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  /// Samples of every operator: the laws run over all of them.
  static let all = elementwise + arithmetic + movement + layers + pools

  /// Functions all over the range of their samples, and what sums up many numbers.
  static let precise = dense + sums

  /// Parameters that many rows share.
  static let shared: [OperatorSample] = {
    let (rows, row) = (Tensor.random([20_000, 16], in: 0.5...1.5), Tensor.random([16], seed: 1))
    return [
      OperatorSample("many rows", Add(), [rows, row], constantInputs: [1]),
      OperatorSample("many rows", Mul(), [rows, row], constantInputs: [1]),
      OperatorSample(
        "many rows", LayerNormalization(axis: 1), [rows, row, .random([16], seed: 2)],
        constantInputs: [1, 2]),
    ]
  }()

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
