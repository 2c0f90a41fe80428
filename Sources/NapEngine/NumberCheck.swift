package import NapGraph
import NapKernels

/// Where numbers that are none, or infinite ones, first appear in a plan.
package struct BrokenNumber: Sendable, Hashable {
  package let value: ValueID
  /// Of the batch, counted from 0.
  package let example: Int
}

/// What the checks of a plan have found in one run.
final class NumberCheck {
  var first: BrokenNumber?

  /// Looks at what a node computes. Layers give finite numbers; elsewhere infinite ones may be meant, as
  /// they are where something is masked.
  func emit(_ node: PlanNode, _ plan: PlanBuilder) {
    let isLayer = node.op is any AffineOperator || node.op is any FoldableNormalization
    for value in node.outputs {
      let buffer = plan.buffer(value)
      let (layout, examples) = (plan.layout(buffer), plan.shape(value).first ?? 1)
      plan.run("check", touching: [buffer]) { memory in
        guard self.first == nil,
          let place = firstNotFinite(
            layout.scalar, count: layout.count, in: memory[buffer], orInfinite: isLayer)
        else { return }
        self.first = BrokenNumber(value: value, example: place * examples / layout.count)
      }
    }
  }
}
