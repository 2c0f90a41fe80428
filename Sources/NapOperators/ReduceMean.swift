package import NapEngine
import NapGraph

/// The mean over some axes.
package struct ReduceMean: ReducingOperator {
  package static let name = "ReduceMean"

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.map { _ in 1 / Double(x.count) }
  }
}

// MARK: Lowering
extension ReduceMean: Lowerable {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, y) = (node.inputs[0], node.outputs[0])
    let rank = plan.shape(x).count
    guard rank > 2, rank < 6, reduced(rank).sorted() == Array(2..<rank) else {
      return try PlainLowering.lower(node, into: plan)
    }
    func step(_ op: any Operator, _ input: ValueID, _ output: ValueID) -> PlanNode {
      PlanNode(index: node.index, name: node.name, op: op, inputs: [input], outputs: [output])
    }
    if keepsAxes {
      return try GlobalAveragePool().lower(step(GlobalAveragePool(), x, y), into: plan)
    }
    let pooled = plan.makeValue(
      like: y, shape: plan.shape(x).prefix(2) + [Int](repeating: 1, count: rank - 2))
    let pooling = try GlobalAveragePool().lower(step(GlobalAveragePool(), x, pooled), into: plan)
    let flattening = try Flatten(axis: 1).lower(step(Flatten(axis: 1), pooled, y), into: plan)
    return {
      try flattening()
      try pooling()
    }
  }
}
