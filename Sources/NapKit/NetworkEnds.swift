package import NapGraph
import NapOperators
import NapTensor

/// A network without what it may end with that has no use in training: a softmax, a sigmoid, positions
/// of largest numbers. Losses and curvature are computed from what these are computed from.
package struct NetworkEnds: Sendable {
  /// What has been taken off behind an output of the trunk.
  package enum End: Sendable, Hashable {
    case softmax(axis: Int)
    case sigmoid
    case position(axis: Int)
  }

  /// The network as it came.
  package let whole: Graph
  package private(set) var trunk: Graph
  /// What was behind the trunk's outputs, the last taken off first.
  package private(set) var ends: [ValueID: [End]] = [:]
  private var taken: [Node] = []

  /// - Parameter kept: names of outputs that stay as they are.
  package init(_ whole: Graph, keeping kept: Set<String> = []) {
    self.whole = whole
    trunk = whole
    while removeEnd(
      keeping: kept, { ($0 as? any PositionOperator).map { .position(axis: $0.axis) } })
    {}
    while removeEnd(
      keeping: kept,
      {
        if let softmax = $0 as? any SoftmaxOperator { return .softmax(axis: softmax.axis) }
        return $0 is Sigmoid ? .sigmoid : nil
      })
    {}
  }

  /// Makes the input of a node the output, in place of all of the node's own outputs.
  ///
  /// - Returns: whether there was such a node that only gives outputs.
  private mutating func removeEnd(
    keeping kept: Set<String>, _ end: (any Operator) -> End?
  ) -> Bool {
    let read = Set(trunk.nodes.flatMap(\.inputs))
    let outputs = Set(trunk.outputs.map(\.value))
    let found = trunk.nodes.indices.last { index in
      let node = trunk.nodes[index]
      return end(node.op) != nil && node.outputs.contains(where: outputs.contains)
        && node.outputs.allSatisfy { !read.contains($0) && !kept.contains(trunk.name(of: $0)) }
        // A constant or an input of the network is no output.
        && trunk.nodes.contains { $0.outputs.contains(node.inputs[0]) }
    }
    guard let found, let shapes = try? trunk.shapes(batch: 1) else { return false }
    let node = trunk.nodes.remove(at: found)
    taken.insert(node, at: 0)
    let source = node.inputs[0]
    if let end = end(node.op) {
      ends[source] = [end] + node.outputs.compactMap { ends[$0] }.flatMap { $0 }
    }
    let places = trunk.outputs.indices.filter { node.outputs.contains(trunk.outputs[$0].value) }
    let batch = trunk.outputs[places[0]].dimensions.first ?? .fixed(1)
    let sizes = shapes[source.index].dropFirst().map { Dimension.fixed($0) }
    let isOutputAlready = outputs.contains(source)
    if !isOutputAlready {
      trunk.outputs[places[0]] = Graph.Port(value: source, dimensions: [batch] + sizes)
    }
    for place in places.dropFirst(isOutputAlready ? 0 : 1).reversed() {
      trunk.outputs.remove(at: place)
    }
    return true
  }

  /// A network that grew out of the trunk, with what has been taken off, each node where it was.
  package func restore(_ changed: Graph) -> Graph {
    var result = changed
    var rest = changed.nodes[...]
    let ends = Dictionary(uniqueKeysWithValues: taken.map { ($0.outputs[0], $0) })
    result.nodes = whole.nodes.compactMap { ends[$0.outputs[0]] ?? rest.popFirst() } + rest
    result.outputs = whole.outputs
    // What was added may come between an end and what it reads.
    result.sortNodes()
    // Of what was added on the way, nothing is left that anybody knew before.
    result.cuts = changed.cuts.filter { whole.valueNames.indices.contains($0.key.value.index) }
    return result
  }

  /// The name that the user knows a trunk's output by.
  package func name(ofOutput value: ValueID) -> String {
    var value = value
    while !whole.outputs.contains(where: { $0.value == value }),
      let node = taken.first(where: { $0.inputs[0] == value }),
      let next = node.outputs.first(where: { output in
        whole.outputs.contains { $0.value == output } || taken.contains { $0.inputs[0] == output }
      })
    {
      value = next
    }
    return whole.name(of: value)
  }
}

extension NetworkEnds {
  /// Of another network whose outputs are to be compared with a network's trunk.
  init(_ other: Graph, like ends: NetworkEnds) {
    let taken = Set(ends.taken.flatMap(\.outputs))
    let kept = ends.whole.outputs.indices.filter { !taken.contains(ends.whole.outputs[$0].value) }
    self.init(
      other,
      keeping: Set(
        kept.filter(other.outputs.indices.contains).map { other.name(of: other.outputs[$0].value) })
    )
  }
}

extension Graph {
  /// The network without what it may end with that has no use in training, see `NetworkEnds`.
  var trunk: Graph { NetworkEnds(self).trunk }
}
