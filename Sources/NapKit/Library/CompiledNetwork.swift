import NapEngine
import NapGraph
import NapTensor

/// A network that is ready to run on batches of one size, again and again.
///
/// It is to be used by one thread at a time.
public final class CompiledNetwork {
  private let plan: Plan
  private let names: (inputs: [String], outputs: [String])
  /// Examples of a batch.
  public var batchSize: Int { plan.batch }

  fileprivate init(_ network: Network, batchSize: Int, precision: Precision) throws {
    let graph = network.graph
    let size = graph.batchSize(batchSize)
    guard size == batchSize, batchSize > 0 else {
      throw UsageError(
        "the network takes batches of \(size), not of \(batchSize)",
        recovery: "compile it for \(size)")
    }
    try graph.checkConstants()
    plan = try Plan(graph, scalar: precision.scalar, batch: batchSize)
    names = (
      graph.inputs.map { graph.name(of: $0.value) }, graph.outputs.map { graph.name(of: $0.value) }
    )
  }

  /// Computes the outputs of a batch.
  ///
  /// - Parameter inputs: by name, each `[batchSize, …]`; whole numbers as floats.
  /// - Returns: the outputs by name, each `[batchSize, …]`.
  /// - Throws: `UsageError` where an input is missing or has another shape.
  public func run(_ inputs: [String: NumericArray]) throws -> [String: NumericArray] {
    try Inference.check(inputs.keys, areAmong: names.inputs)
    for (k, name) in names.inputs.enumerated() {
      guard let array = inputs[name] else {
        throw UsageError(
          "input '\(name)' is missing",
          recovery: "its inputs are \(names.inputs.joined(separator: ", "))")
      }
      guard array.shape == plan.inputShapes[k] else {
        throw UsageError(
          "input '\(name)' has the shape \(array.shape), but the network was compiled for \(plan.inputShapes[k])"
        )
      }
      plan.inputs[k].update(from: array.values, count: array.values.count)
    }
    plan.forward()
    var results: [String: NumericArray] = [:]
    for (k, name) in names.outputs.enumerated() {
      let shape = plan.outputShapes[k]
      results[name] = NumericArray(
        shape: shape,
        values: Array(UnsafeBufferPointer(start: plan.outputs[k], count: shape.product)))
    }
    return results
  }
}

extension Network {
  /// Makes the network ready to run.
  ///
  /// - Parameters:
  ///   - batchSize: how many examples go through at once.
  ///   - precision: the numbers to compute in.
  /// - Throws: where the network takes batches of another size, cannot be compiled, or needs more memory than
  ///   there is.
  public func compiled(batchSize: Int = 1, precision: Precision = .float32) throws
    -> CompiledNetwork
  {
    try CompiledNetwork(self, batchSize: batchSize, precision: precision)
  }

  /// Computes the outputs of some examples, once; for more, see `compiled(batchSize:precision:)`.
  ///
  /// - Parameter inputs: by name, each `[examples, …]`; whole numbers as floats.
  public func run(_ inputs: [String: NumericArray]) throws -> [String: NumericArray] {
    try compiled(batchSize: inputs.values.first?.shape.first ?? 1).run(inputs)
  }
}
