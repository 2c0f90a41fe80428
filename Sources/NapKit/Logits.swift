import NapGraph
import NapOperators

extension Graph {
  /// The network without the softmax it may end with: what losses and curvature are computed from.
  var logits: Graph {
    guard outputs.count == 1, let last = nodes.last, last.op is Softmax,
      last.outputs == [outputs[0].value]
    else { return self }
    var result = self
    result.nodes.removeLast()
    result.outputs[0].value = last.inputs[0]
    return result
  }

  /// The network with the softmax that `logits` has taken off the original.
  func restoringOutput(of original: Graph) -> Graph {
    guard original.nodes.count > nodes.count, let last = original.nodes.last else { return self }
    var result = self
    result.nodes.append(last)
    result.outputs = original.outputs
    return result
  }
}
