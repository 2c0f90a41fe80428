package import NapGraph
import NapKernels
import NapTensor

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
  /// Values that may be NaN or infinite though inputs and weights are not.
  let broken: Set<ValueID>

  init(_ graph: Graph, kept: Set<ValueID>, mode: PlanMode, shapes: [[Int]], parameters: Parameters) {
    (self.kept, self.mode, self.shapes) = (kept, mode, shapes)
    isConstant = parameters.contains
    var broken: Set<ValueID> = []
    for node in graph.nodes {
      let constants = node.inputs.enumerated().map { index, value in
        // Of weights it is sums that count.
        node.op is any AffineOperator && index == 1 ? nil : graph.constants[value]
      }
      let isFinite =
        node.op.staysFinite(constants: constants)
        && constants.allSatisfy { $0?.isFloat != true || $0?.floats.allSatisfy(\.isFinite) == true }
      if !isFinite || node.inputs.contains(where: broken.contains) {
        broken.formUnion(node.outputs)
      }
    }
    self.broken = broken
  }

  /// Whether what a node computes cannot be NaN or infinite.
  func givesFinite(_ node: PlanNode) -> Bool { broken.isDisjoint(with: node.outputs) }

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

extension FusionContext {
  /// The nodes without those that the node before them takes in: asked where nobody else reads the
  /// value between the two.
  fileprivate func absorbing(
    _ nodes: [PlanNode], _ takesIn: (_ node: inout PlanNode, _ follower: PlanNode) -> Bool
  ) -> [PlanNode] {
    let uses = uses(nodes)
    var producer: [ValueID: Int] = [:]
    var result: [PlanNode] = []
    for node in nodes {
      if let value = node.inputs.first, uses[value] == 1, !kept.contains(value),
        let p = producer[value], result[p].outputs.count == 1, takesIn(&result[p], node)
      {
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

/// Folds a batch normalization into the convolution before it, where nothing is trained.
package enum NormalizationFusion: Fusion {
  package static func fused(_ nodes: [PlanNode], _ context: FusionContext) -> [PlanNode] {
    guard context.mode == .inference else { return nodes }
    return context.absorbing(nodes) { node, follower in
      guard let normalization = follower.op as? any FoldableNormalization,
        node.op is any FoldingOperator, node.normalization == nil,
        (follower.inputs.dropFirst() + node.inputs.dropFirst()).allSatisfy(context.isConstant)
      else { return false }
      node.normalization = (normalization, Array(follower.inputs.dropFirst()))
      return true
    }
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
    context.absorbing(nodes) { node, follower in
      guard let function = (follower.op as? any ActivationOperator)?.activation,
        node.activation == nil, let fusing = node.op as? any FusingOperator,
        fusing.fuses(function, in: context.mode, ofFinite: context.givesFinite(node))
      else { return false }
      node.activation = function
      return true
    }
  }
}
