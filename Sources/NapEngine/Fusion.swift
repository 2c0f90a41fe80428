package import NapGraph
import NapKernels

/// A rewrite of the nodes on their way into a plan.
package protocol Fusion: Sendable {
  static func fused(_ nodes: [PlanNode], keeping outputs: Set<ValueID>, mode: PlanMode)
    -> [PlanNode]
}

/// Lets a batch normalization, a residual sum or a convolution apply the `Relu` that follows it.
package enum ReluFusion: Fusion {
  package static func fused(_ nodes: [PlanNode], keeping outputs: Set<ValueID>, mode: PlanMode)
    -> [PlanNode]
  {
    var uses: [ValueID: Int] = [:]
    for node in nodes { for input in node.inputs { uses[input, default: 0] += 1 } }
    var producer: [ValueID: Int] = [:]
    var result: [PlanNode] = []
    for node in nodes {
      if let activation = node.op as? any ActivationOperator,
        activation.activation == .relu(slope: 0),
        let source = node.inputs.first, uses[source] == 1, !outputs.contains(source),
        let p = producer[source], !result[p].relu, result[p].outputs.count == 1,
        let fusing = result[p].op as? any Lowerable, fusing.fusesRelu(in: mode)
      {
        result[p].relu = true
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
