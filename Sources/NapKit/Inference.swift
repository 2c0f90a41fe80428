import NapData
import NapEngine
import NapGraph
import NapTensor

/// Runs a network on arrays from files.
public struct Inference: Sendable {
  public var precision: Precision

  public init(precision: Precision = .float32) { self.precision = precision }

  /// - Throws: `UsageError` that names what is no input of the network.
  static func check(_ given: some Sequence<String>, areAmong names: [String]) throws {
    for name in given.sorted() where !names.contains(name) {
      throw UsageError(
        "the network has no input '\(name)'",
        recovery: "its inputs are \(names.joined(separator: ", "))")
    }
  }

  static func missing(_ name: String) -> UsageError {
    UsageError("input '\(name)' is missing", recovery: "give it with --input \(name)=FILE.npy")
  }

  /// - Parameters:
  ///   - network: what is run.
  ///   - inputs: the `.npy` file of every input, by name.
  ///   - output: the `.npz` file to write the outputs to.
  /// - Returns: the names and shapes of the outputs, and how many of their numbers are NaN or infinite.
  public func run(_ network: Network, inputs: [String: String], output: String) throws
    -> [(name: String, shape: [Int], notFinite: Int)]
  {
    let graph = network.graph
    let names = graph.inputs.map { graph.name(of: $0.value) }
    try Self.check(inputs.keys, areAmong: names)
    try NumPyFile.check(graph.outputs.map { graph.name(of: $0.value) }, for: output)
    let tensors = try names.map { name -> Tensor in
      guard let path = inputs[name] else {
        throw Self.missing(name)
      }
      let tensor = try NumPyFile.read(path)
      return tensor.isFloat
        ? tensor : Tensor(shape: tensor.shape, floats: tensor.integers.map(Float.init))
    }
    // What is not sound goes through kernels that keep NaN, as it would elsewhere.
    let isSound =
      graph.brokenConstant == nil && tensors.allSatisfy { $0.floats.allSatisfy(\.isFinite) }
    let plan = try Plan(
      graph, scalar: precision.scalar, batch: tensors.first?.shape.first ?? 1,
      inputShapes: tensors.map(\.shape), checksNumbers: !isSound)
    for (buffer, tensor) in zip(plan.inputs, tensors) {
      buffer.update(from: tensor.floats, count: tensor.count)
    }
    plan.forward()
    let integers = graph.integerValues
    let results = graph.outputs.enumerated().map { n, port in
      let shape = plan.outputShapes[n]
      let values = UnsafeBufferPointer(start: plan.outputs[n], count: shape.product)
      let tensor =
        integers.contains(port.value)
        ? Tensor(shape: shape, integers: values.map { Int64($0) })
        : Tensor(shape: shape, floats: Array(values))
      return (name: graph.name(of: port.value), tensor: tensor)
    }
    // What is an output twice is one array.
    var written = Set<String>()
    try NumPyFile.writeArchive(results.filter { written.insert($0.name).inserted }, to: output)
    return results.map { name, tensor in
      (name, tensor.shape, tensor.isFloat ? tensor.floats.count { !$0.isFinite } : 0)
    }
  }
}
