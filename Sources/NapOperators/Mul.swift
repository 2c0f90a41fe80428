package import NapEngine
package import NapGraph
import NapKernels

/// The product of two tensors, element by element.
package struct Mul: BroadcastingOperator {
  package static let name = "Mul"
  package static let operandRole: ParameterRole? = .scale

  package init() {}

  package static func value(_ a: Float, _ b: Float) -> Float { a * b }
  package static func value(_ a: Int64, _ b: Int64) -> Int64 { a &* b }
  package static func derivatives(_ a: Float, _ b: Float) -> (Float, Float) { (b, a) }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    try lowerChannelScaling(node, into: plan) ?? lowerBroadcast(node, into: plan)
  }

  /// Of images and a number for each of their channels, in the layout that the images have.
  ///
  /// - Returns: `nil` for everything else.
  private func lowerChannelScaling(_ node: PlanNode, into plan: PlanBuilder) throws
    -> BackwardLowering?
  {
    let shapes = node.inputs.map(plan.shape)
    guard let images = Self.images(of: shapes), !node.inputs.contains(where: plan.isConstant) else {
      return nil
    }
    let (x, scales, y) = (node.inputs[images], node.inputs[1 - images], node.outputs[0])
    let source = try plan.activation(x)
    guard let kernel = ChannelScaling(plan.layout(source)) else { return nil }
    let factors = try plan.dense(plan.buffer(scales))
    let layout = plan.layout(source)
    let output = plan.define(y, layout)
    plan.run(name, touching: [source, factors, output], output: output) { memory in
      kernel.forward(memory[source], memory.floats(factors), into: memory[output])
    }
    return {
      guard let gradient = try plan.gradient(y, as: layout) else { return }
      let dx = plan.needsGradient(x) ? plan.makeBuffer(layout) : nil
      let dscales =
        plan.needsGradient(scales) ? plan.makeBuffer(Layout(dense: plan.shape(scales))) : nil
      plan.run(
        "\(name) gradient",
        touching: [source, factors, gradient] + [dx, dscales].compactMap { $0 }
      ) { memory in
        kernel.backward(
          memory[source], memory.floats(factors), outputGradient: memory[gradient],
          into: dx.map { memory[$0] }, scales: dscales.map { memory.floats($0) })
      }
      if let dx { plan.contribute(dx, to: x) }
      if let dscales { plan.contribute(dscales, to: scales) }
    }
  }

  /// Which operand is images that the other has a number for each channel of.
  package static func images(of shapes: [[Int]]) -> Int? {
    (0..<2).first { index in
      let (images, scales) = (shapes[index], shapes[1 - index])
      return (3...5).contains(images.count) && scales.count == images.count
        && images.dropFirst(2).contains { $0 > 1 }
        && Array(scales.prefix(2)) == Array(images.prefix(2))
        && scales.dropFirst(2).allSatisfy { $0 == 1 }
    }
  }
}
