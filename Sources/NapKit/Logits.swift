import NapGraph
import NapOperators

extension Graph {
  /// The network without what it may end with that has no use in training, a softmax and positions of
  /// largest numbers: what losses and curvature are computed from.
  var logits: Graph {
    var result = self
    while result.removeEnd(where: { $0.op is any PositionOperator }) {}
    if result.outputs.count == 1 { _ = result.removeEnd { $0.op is Softmax } }
    return result
  }

  /// Makes the input of a node the output, in place of all of the node's own outputs.
  ///
  /// - Returns: whether there was such a node that only gives outputs.
  private mutating func removeEnd(where isEnd: (Node) -> Bool) -> Bool {
    let read = Set(nodes.flatMap(\.inputs))
    let ends = nodes.lastIndex { node in
      isEnd(node) && node.outputs.allSatisfy { !read.contains($0) }
    }
    guard let end = ends, let shapes = try? shapes(batch: 1) else { return false }
    let node = nodes.remove(at: end)
    let source = node.inputs[0]
    guard let first = outputs.firstIndex(where: { node.outputs.contains($0.value) }) else {
      return true
    }
    let batch = outputs[first].dimensions.first ?? .fixed(1)
    let sizes = shapes[source.index].dropFirst().map { Dimension.fixed($0) }
    outputs[first] = Port(value: source, dimensions: [batch] + sizes)
    outputs.removeAll { node.outputs.contains($0.value) }
    if outputs.filter({ $0.value == source }).count > 1 { outputs.remove(at: first) }
    return true
  }

  /// The network with what `logits` has taken off the original.
  func restoringOutput(of original: Graph) -> Graph {
    let known = Set(original.logits.nodes.flatMap(\.outputs))
    var result = self
    result.nodes += original.nodes.filter { known.isDisjoint(with: $0.outputs) }
    result.outputs = original.outputs
    return result
  }
}
