package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// A branch behind a gate, in inference plans: it is computed for those examples that the gate lets in, gathered into
/// batches of their own; of the others its output is 0.
///
/// - Shapes: the numbers that are compared `[n, 1, …]`, then what the branch reads, `[n, …]` each.
package struct SkippingBranch: Lowerable {
  package static let name = "SkippingBranch"

  /// With one output, and inputs in the order of the node's.
  package var branch: Graph
  package var threshold: Float

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("\(name) stands in no file")
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    do {
      let shapes = try branch.shapes(inputs: Array(inputs.dropFirst()))
      return [shapes[branch.outputs[0].value.index]]
    } catch {
      throw OperatorError(error.problem, recovery: error.recovery)
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let output = branch.evaluate(Array(inputs.dropFirst()))[0]
    let size = output.shape.dropFirst().product
    return [
      Tensor(
        shape: output.shape,
        floats: output.floats.enumerated().map {
          inputs[0].floats[$0 / size] > threshold ? $1 : 0
        })
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    inputs.map { _ in nil }
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let shape = plan.shape(node.outputs[0])
    let batch = Self.batch(of: shape[0])
    let inner = try Plan(branch, scalar: plan.scalar, batch: batch)
    let sources = try node.inputs.map { try plan.dense(plan.buffer($0)) }
    let output = plan.define(node.outputs[0], Layout(dense: shape))
    let size = shape.dropFirst().product
    let sizes = inner.inputShapes.map { $0.dropFirst().product }
    plan.run(name, touching: sources + [output], output: output) { memory in
      let (deciding, result) = (memory.floats(sources[0]), memory.floats(output))
      result.update(repeating: 0, count: shape.product)
      var open: [Int] = []
      func compute() {
        for (place, example) in open.enumerated() {
          for (k, size) in sizes.enumerated() {
            (inner.inputs[k] + place * size).update(
              from: memory.floats(sources[k + 1]) + example * size, count: size)
          }
        }
        inner.forward()
        for (place, example) in open.enumerated() {
          (result + example * size).update(from: inner.outputs[0] + place * size, count: size)
        }
        open = []
      }
      for example in 0..<shape[0] where deciding[example] > threshold {
        open.append(example)
        if open.count == batch { compute() }
      }
      if !open.isEmpty { compute() }
    }
    return {}
  }

  /// Examples that are computed together: few of a batch are let in, and the last batch is filled in part.
  private static func batch(of examples: Int) -> Int { max(1, min(16, examples / 8)) }
}

extension Graph {
  /// The network in which branches are computed only for examples that need them.
  ///
  /// - Parameter shapes: of all values.
  /// - Returns: `nil` where there is nothing to leave out.
  package func skippingClosedBranches(_ shapes: [[Int]]) -> Graph? {
    guard isBatchOpen || inputs.allSatisfy({ shapes[$0.value.index].first == 1 }) else {
      return nil
    }
    var result = self
    var gone: Set<Int> = []
    // Those in a branch are found when that is compiled.
    for gate in outermostBranchGates(shapes) {
      guard let node = skipping(gate, shapes) else { continue }
      result.nodes[gate.product] = node
      gone.formUnion(gate.nodes)
    }
    guard !gone.isEmpty else { return nil }
    result.nodes = result.nodes.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
    return result.withoutDeadNodes()
  }

  /// What stands for a gate and its branch; `nil` where an array is not of examples.
  private func skipping(_ gate: BranchGate, _ shapes: [[Int]]) -> Node? {
    let nodes = gate.nodes.map { self.nodes[$0] }
    let own = Set(nodes.flatMap(\.outputs))
    var read: [ValueID] = []
    for value in nodes.flatMap(\.inputs)
    where constants[value] == nil && !own.contains(value) && !read.contains(value) {
      read.append(value)
    }
    let examples = shapes[gate.saliency.index].first
    let integers = integerValues
    guard !read.isEmpty,
      (read + [gate.features]).allSatisfy({
        shapes[$0.index].first == examples && !integers.contains($0)
      })
    else { return nil }
    func port(_ value: ValueID) -> Port {
      Port(
        value: value,
        dimensions: [.dynamic("N")] + shapes[value.index].dropFirst().map { .fixed($0) })
    }
    var branch = self
    branch.nodes = nodes
    branch.inputs = read.map(port)
    branch.outputs = [port(gate.features)]
    return Node(
      name: self.nodes[gate.product].name,
      op: SkippingBranch(branch: branch.withoutDeadNodes(), threshold: gate.alpha),
      inputs: [gate.saliency] + read, outputs: self.nodes[gate.product].outputs)
  }
}
