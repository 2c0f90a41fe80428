package import NapGraph
import NapKernels

/// A rewrite of the nodes on their way into a plan.
package protocol Fusion: Sendable {
  static func fused(_ nodes: [PlanNode], _ context: FusionContext) -> [PlanNode]
}

/// What a fusion has to know about the graph.
package struct FusionContext {
  /// Values that have to exist after the run.
  package let kept: Set<ValueID>
  package let mode: PlanMode
  package let shapes: [[Int]]
  package let isConstant: (ValueID) -> Bool

  /// How often each value is read.
  func uses(_ nodes: [PlanNode]) -> [ValueID: Int] {
    var result: [ValueID: Int] = [:]
    for node in nodes {
      for input in node.inputs + (node.residual.map { [$0] } ?? []) {
        result[input, default: 0] += 1
      }
    }
    return result
  }
}

/// In the order in which they apply.
let allFusions: [any Fusion.Type] = [
  NormalizationFusion.self, ResidualFusion.self, ActivationFusion.self,
]

/// Folds a batch normalization into the convolution before it, where nothing is trained.
package enum NormalizationFusion: Fusion {
  package static func fused(_ nodes: [PlanNode], _ context: FusionContext) -> [PlanNode] {
    guard context.mode == .inference else { return nodes }
    let uses = context.uses(nodes)
    var producer: [ValueID: Int] = [:]
    var result: [PlanNode] = []
    for node in nodes {
      if let normalization = node.op as? any FoldableNormalization,
        node.inputs.dropFirst().allSatisfy(context.isConstant),
        let p = producer[node.inputs[0]], uses[node.inputs[0]] == 1,
        !context.kept.contains(node.inputs[0]), result[p].op is any FoldingOperator,
        result[p].normalization == nil, result[p].inputs.dropFirst().allSatisfy(context.isConstant)
      {
        result[p].normalization = (normalization, Array(node.inputs.dropFirst()))
        result[p].outputs = node.outputs
        producer[node.outputs[0]] = p
        continue
      }
      for output in node.outputs { producer[output] = result.count }
      result.append(node)
    }
    return result
  }
}

/// Lets a convolution add its result to a residual stream, where nothing is trained.
package enum ResidualFusion: Fusion {
  package static func fused(_ nodes: [PlanNode], _ context: FusionContext) -> [PlanNode] {
    guard context.mode == .inference else { return nodes }
    let uses = context.uses(nodes)
    var producer: [ValueID: Int] = [:]
    var result: [PlanNode?] = []
    for node in nodes {
      for output in node.outputs { producer[output] = result.count }
      guard node.op is any ResidualOperator,
        context.shapes[node.inputs[0].index] == context.shapes[node.inputs[1].index],
        !node.inputs.contains(where: context.isConstant),
        let branch = node.inputs.first(where: { value in
          guard let p = producer[value], let op = result[p]?.op else { return false }
          return op is any FoldingOperator && uses[value] == 1 && !context.kept.contains(value)
            && result[p]?.residual == nil
        }),
        let p = producer[branch], var fused = result[p],
        let other = node.inputs.first(where: { $0 != branch })
      else {
        result.append(node)
        continue
      }
      // Where the sum was: only there is the other operand sure to be known.
      result[p] = nil
      fused.residual = other
      fused.outputs = node.outputs
      result.append(fused)
    }
    return result.compactMap { $0 }
  }
}

/// Lets an operator apply the function that follows it.
package enum ActivationFusion: Fusion {
  package static func fused(_ nodes: [PlanNode], _ context: FusionContext) -> [PlanNode] {
    let uses = context.uses(nodes)
    var producer: [ValueID: Int] = [:]
    var result: [PlanNode] = []
    for node in nodes {
      if let function = (node.op as? any ActivationOperator)?.activation,
        let source = node.inputs.first, uses[source] == 1, !context.kept.contains(source),
        let p = producer[source], result[p].activation == nil, result[p].outputs.count == 1,
        let fusing = result[p].op as? any FusingOperator, fusing.fuses(function, in: context.mode)
      {
        result[p].activation = function
        result[p].outputs = node.outputs
        producer[node.outputs[0]] = p
        continue
      }
      for output in node.outputs { producer[output] = result.count }
      result.append(node)
    }
    return result
  }
}
