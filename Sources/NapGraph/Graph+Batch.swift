import NapTensor

/// Which axes count examples: whoever finds an example's numbers by `example · size` asks here first.
extension Graph {
  /// Whether the network takes batches of any size.
  package var isBatchOpen: Bool {
    if case .dynamic? = inputs.first?.dimensions.first { true } else { false }
  }

  /// The batch size to use: what is wanted, unless the network has been written for one size only.
  package func batchSize(_ wanted: Int) -> Int {
    if case .fixed(let size)? = inputs.first?.dimensions.first { size } else { wanted }
  }

  /// Batch sizes that tell an axis that counts examples from one that has that size by chance.
  package var tellingBatches: [Int] { isBatchOpen ? [2, 3] : [batchSize(1)] }

  /// The first output whose first axis does not count examples; `nil` where those of all do.
  package func outputWithoutExamples() throws(GraphError) -> ValueID? {
    for size in tellingBatches {
      let shapes = try shapes(batch: size)
      if let port = outputs.first(where: { shapes[$0.value.index].first != size }) {
        return port.value
      }
    }
    return nil
  }

  /// - Throws: naming an output whose first axis does not count examples.
  package func checkExamples() throws(GraphError) {
    guard let output = try outputWithoutExamples() else { return }
    throw .output(name: name(of: output))
  }
}
