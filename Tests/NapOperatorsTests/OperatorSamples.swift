extension OperatorSample {
  /// Samples of every operator: the laws run over all of them.
  static let all = elementwise + arithmetic + movement + layers + pools
}
