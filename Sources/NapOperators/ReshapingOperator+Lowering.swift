package import NapEngine
import NapGraph
import NapKernels

extension ReshapingOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, y) = (node.inputs[0], node.outputs[0])
    let source = plan.buffer(x)
    let plain = try plan.converted(
      source, to: Layout(dense: plan.shape(x), plan.layout(source).scalar))
    plan.define(y, as: plan.reshaped(plain, to: plan.shape(y)))
    return {
      guard plan.needsGradient(x), let gradient = try plan.gradient(y) else { return }
      let plain = try plan.converted(
        gradient, to: Layout(dense: plan.shape(y), plan.layout(gradient).scalar))
      plan.contribute(plan.reshaped(plain, to: plan.shape(x)), to: x)
    }
  }
}
