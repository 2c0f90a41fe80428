package import Foundation
package import NapGraph
import NapKernels
package import NapTensor

/// The float constants of a graph in memory of their own, shared by all plans of that graph.
///
/// Weights are dense `float32` always, whatever precision a plan computes in. Training changes them
/// in place; `graph` gives the network with the current values.
package final class Parameters {
  private let original: Graph
  private var buffers: [ValueID: AlignedBuffer] = [:]
  /// What each trained constant is for.
  package let roles: [ValueID: ParameterRole]

  package init(_ graph: Graph) {
    original = graph
    roles = graph.parameterRoles
    for (value, tensor) in graph.constants where tensor.isFloat {
      let buffer = AlignedBuffer(bytes: max(1, tensor.count) * MemoryLayout<Float>.stride)
      tensor.floats.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { buffer.floats.update(from: base, count: source.count) }
      }
      buffers[value] = buffer
    }
  }

  /// Trained constants (weights, biases, scales), in a fixed order.
  package var trained: [ValueID] {
    roles.filter { $0.value != .statistic && buffers[$0.key] != nil }.keys.sorted()
  }

  package func count(_ value: ValueID) -> Int { original.constants[value]?.count ?? 0 }

  package func contains(_ value: ValueID) -> Bool { buffers[value] != nil }

  /// The live memory of a constant.
  package func pointer(_ value: ValueID) -> UnsafeMutablePointer<Float> {
    guard let buffer = buffers[value] else {
      preconditionFailure("not a float constant of the graph")
    }
    return buffer.floats
  }

  /// The value of a constant now.
  ///
  /// Statistics of dead channels decay until they are subnormal, with which processors compute a
  /// hundred times slower: they are zero here.
  package func tensor(_ value: ValueID) -> Tensor {
    let shape = original.constants[value]?.shape ?? []
    let numbers = UnsafeBufferPointer(start: pointer(value), count: shape.product)
    return Tensor(shape: shape, floats: numbers.map { $0.isSubnormal ? 0 : $0 })
  }

  package func set(_ value: ValueID, _ tensor: Tensor) {
    precondition(tensor.count == count(value))
    tensor.floats.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer(value).update(from: base, count: source.count) }
    }
  }

  /// All values with the very bits that they have.
  package var bits: [ValueID: Data] {
    get {
      Dictionary(
        uniqueKeysWithValues: buffers.map { value, buffer in
          (value, Data(bytes: buffer.floats, count: 4 * count(value)))
        })
    }
    set {
      for (value, data) in newValue where contains(value) {
        precondition(data.count == 4 * count(value))
        data.copyBytes(
          to: UnsafeMutableRawBufferPointer(start: pointer(value), count: data.count))
      }
    }
  }

  /// The network with the current values.
  package var graph: Graph {
    var result = original
    for value in buffers.keys { result.constants[value] = tensor(value) }
    return result
  }
}
