import NapGraph
import NapKernels
import NapTensor

/// Runs an operator by its plain specification, for those that have no kernels of their own.
///
/// Correct for every operator, but it copies and allocates: the price of not being `Lowerable`.
package enum PlainLowering {
  package static func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let op = node.op
    let inputs = try node.inputs.map { try plan.dense(plan.buffer($0)) }
    let inputShapes = node.inputs.map(plan.shape)
    let outputShapes = node.outputs.map(plan.shape)
    let outputs = node.outputs.map { plan.define($0, Layout(dense: plan.shape($0))) }
    let taken = bytesOfNumber * (inputShapes + outputShapes).reduce(0) { $0 + $1.product }
    plan.run(op.name, touching: inputs + outputs, taking: taken) { memory in
      let results = op.forward(zip(inputs, inputShapes).map { tensor(memory.floats($0), $1) })
      for (result, output) in zip(results, outputs) { write(result, to: memory.floats(output)) }
    }
    return {
      let needed = node.inputs.map { plan.needsGradient($0) || plan.trains($0) }
      guard needed.contains(true) else { return }
      var cotangents: [BufferID?] = []
      for output in node.outputs { cotangents.append(try plan.gradient(output).map(plan.dense)) }
      let results: [BufferID?] = zip(node.inputs, needed).map { value, needed in
        needed ? plan.makeBuffer(Layout(dense: plan.shape(value))) : nil
      }
      let given = cotangents
      plan.run(
        "\(op.name) gradient",
        touching: inputs + outputs + given.compactMap { $0 } + results.compactMap { $0 },
        taking: 2 * taken
      ) { memory in
        let pulled = op.pullback(
          zip(inputs, inputShapes).map { tensor(memory.floats($0), $1) },
          zip(outputs, outputShapes).map { tensor(memory.floats($0), $1) },
          zip(given, outputShapes).map { buffer, shape in
            buffer.map { tensor(memory.floats($0), shape) } ?? Tensor(shape: shape, repeating: 0)
          })
        for (index, buffer) in results.enumerated() {
          guard let buffer else { continue }
          // What has no derivative, such as positions, has zeros.
          write(
            pulled[index] ?? Tensor(shape: inputShapes[index], repeating: 0),
            to: memory.floats(buffer))
        }
      }
      for (value, buffer) in zip(node.inputs, results) {
        guard let buffer else { continue }
        if plan.trains(value) {
          try plan.receiveGradient(of: value, plan.layout(buffer)) { target in
            let bytes = plan.layout(buffer).bytes
            plan.run("store gradient", touching: [buffer, target]) { memory in
              memory[target].copyMemory(from: memory[buffer], byteCount: bytes)
            }
          }
        } else {
          plan.contribute(buffer, to: value)
        }
      }
    }
  }

  /// A tensor, a sum in double precision, and where it comes from.
  private static let bytesOfNumber = 24

  private static func tensor(_ pointer: UnsafeMutablePointer<Float>, _ shape: [Int]) -> Tensor {
    Tensor(shape: shape, floats: Array(UnsafeBufferPointer(start: pointer, count: shape.product)))
  }

  private static func write(_ tensor: Tensor, to pointer: UnsafeMutablePointer<Float>) {
    // Plans compute in floats alone.
    let floats = tensor.isFloat ? tensor.floats : tensor.integers.map(Float.init)
    floats.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer.update(from: base, count: source.count) }
    }
  }
}
