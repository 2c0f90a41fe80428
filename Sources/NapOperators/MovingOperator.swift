package import NapEngine
import NapGraph
package import NapKernels
import NapTensor

/// A copy from one input to one output.
package struct DataMove: Sendable, Hashable {
  package var input: Int
  package var output: Int
  package var move: StridedMove
}

/// An operator that only moves elements; its gradient moves them back.
package protocol MovingOperator: Lowerable {
  /// The copies that make the outputs; what they leave out is `filling`.
  func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove]
  var filling: Float { get }
}

extension MovingOperator {
  package var filling: Float { 0 }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (inputShapes, outputShapes) = (node.inputs.map(plan.shape), node.outputs.map(plan.shape))
    let moves = moves(inputs: inputShapes, outputs: outputShapes)
    let sources = try node.inputs.map { try plan.dense(plan.buffer($0)) }
    let outputs = node.outputs.map { plan.define($0, Layout(dense: plan.shape($0))) }
    let filling = filling
    let gaps = outputs.indices.filter { o in
      moves.filter { $0.output == o }.reduce(0) { $0 + $1.move.shape.product }
        < outputShapes[o].product
    }
    plan.run(name, touching: sources + outputs) { memory in
      for o in gaps { fill(memory.floats(outputs[o]), outputShapes[o].product, filling) }
      for move in moves {
        move.move.run(
          from: memory.floats(sources[move.input]), to: memory.floats(outputs[move.output]))
      }
    }
    return {
      let cotangents = try node.outputs.map { try plan.gradient($0).map(plan.dense) }
      for (i, input) in node.inputs.enumerated() where plan.needsGradient(input) {
        let result = plan.makeBuffer(Layout(dense: inputShapes[i]))
        let used = moves.filter { $0.input == i && cotangents[$0.output] != nil }
        plan.run("\(name) gradient", touching: cotangents.compactMap { $0 } + [result]) { memory in
          fill(memory.floats(result), inputShapes[i].product, 0)
          for move in used {
            guard let cotangent = cotangents[move.output] else { continue }
            move.move.reversed.run(
              from: memory.floats(cotangent), to: memory.floats(result), adding: true)
          }
        }
        plan.contribute(result, to: input)
      }
    }
  }
}

private func fill(_ pointer: UnsafeMutablePointer<Float>, _ count: Int, _ value: Float) {
  pointer.update(repeating: value, count: count)
}
