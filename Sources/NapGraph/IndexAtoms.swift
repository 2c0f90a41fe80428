import NapTensor

/// All index atoms of a graph, united as its operators declare.
///
/// Every index of every axis of every value is an atom. A class of atoms that is not frozen is
/// what can be removed together: a *unit*.
package struct IndexAtoms: Sendable {
  package struct Place: Sendable, Hashable, Codable {
    package var value: ValueID
    package var axis: Int
    package init(value: ValueID, axis: Int) {
      self.value = value
      self.axis = axis
    }
  }

  /// The shape of every value, by `ValueID.index`, at batch size 1.
  package let shapes: [[Int]]
  private var offsets: [[Int]] = []
  private let count: Int
  private var parent: [Int] = []
  private var reasons: [Int: String] = [:]

  /// What an atom takes: its class, its places in what operators declare, and why it is frozen.
  private static let bytesOfAtom = 256

  /// - Throws: when the shapes of the graph cannot be inferred, or there is no memory for so many indices.
  package init(_ graph: Graph) throws(GraphError) {
    shapes = try graph.shapes(batch: 1)
    var total = 0
    for shape in shapes {
      offsets.append(
        shape.map { size in
          defer { total += size }
          return total
        })
    }
    count = total
    do {
      try Memory.check(
        Self.bytesOfAtom * total,
        for: "finding out what goes together among \(total) indices of the network's axes")
    } catch {
      throw .memory(error)
    }
    var links = graph.nodes.map { Self.links(of: $0, shapes, alternative: 0) }
    unite(links, graph)
    // Where one reading of a reshape leaves an axis frozen, another may not.
    for (index, node) in graph.nodes.enumerated() where links[index].alternatives > 1 {
      if contested(links[index], node).isFrozen { chooseAlternative(of: [index], &links, graph) }
    }
    // In split attention no node can change its reading alone: all that have nothing free do at once.
    let stuck = graph.nodes.indices.filter {
      links[$0].alternatives > 1 && !contested(links[$0], graph.nodes[$0]).isFree
    }
    chooseAlternative(of: stuck, &links, graph)
  }

  /// Lets nodes declare what leaves most freedom, all of them the same of their alternatives.
  private mutating func chooseAlternative(
    of nodes: [Int], _ links: inout [IndexLinks], _ graph: Graph
  ) {
    guard let count = nodes.map({ links[$0].alternatives }).max() else { return }
    var best = (links: links, freedom: freedom(graph))
    for alternative in 1..<count {
      for index in nodes {
        links[index] = Self.links(
          of: graph.nodes[index], shapes,
          alternative: min(alternative, links[index].alternatives - 1))
      }
      unite(links, graph)
      let freedom = freedom(graph)
      if freedom > best.freedom { best = (links, freedom) }
    }
    links = best.links
    unite(links, graph)
  }

  /// Whether some index on a node's contested axes is free, and whether some is frozen.
  private mutating func contested(_ links: IndexLinks, _ node: Node)
    -> (isFree: Bool, isFrozen: Bool)
  {
    var result = (isFree: false, isFrozen: false)
    for axis in links.contested where links.size(axis) > 1 {
      for index in 0..<links.size(axis) {
        let atom = atom(IndexLinks.Atom(axis: axis, index: index), node)
        if frozenReason(atom) == nil { result.isFree = true } else { result.isFrozen = true }
      }
    }
    return result
  }

  private static func links(of node: Node, _ shapes: [[Int]], alternative: Int) -> IndexLinks {
    var links = IndexLinks(
      inputShapes: node.inputs.map { shapes[$0.index] },
      outputShapes: node.outputs.map { shapes[$0.index] }, alternative: alternative)
    node.op.link(&links)
    return links
  }

  /// Unites and freezes all atoms anew.
  private mutating func unite(_ links: [IndexLinks], _ graph: Graph) {
    parent = Array(0..<count)
    reasons = [:]
    for (node, links) in zip(graph.nodes, links) {
      for (a, b) in links.unions { unite(atom(a, node), atom(b, node)) }
      for (atoms, reason) in links.frozen {
        for a in atoms { freeze(atom(a, node), "\(reason) (node '\(node.name)')") }
      }
    }
    for node in graph.nodes where graph.frozenNodes.contains(node.name) {
      for value in node.outputs { freezeAll(value, "node '\(node.name)' is to be left alone") }
    }
    for port in graph.inputs { freezeAll(port.value, "it is an input of the network") }
    for port in graph.outputs { freezeAll(port.value, "it is an output of the network") }
  }

  /// How many indices of constants could be removed.
  private mutating func freedom(_ graph: Graph) -> Int {
    var freedom = 0
    for value in graph.constants.keys {
      for (axis, size) in shapes[value.index].enumerated() {
        for index in 0..<size where frozenReason(offsets[value.index][axis] + index) == nil {
          freedom += 1
        }
      }
    }
    return freedom
  }

  package func atom(_ place: Place, _ index: Int) -> Int {
    offsets[place.value.index][place.axis] + index
  }

  private func atom(_ atom: IndexLinks.Atom, _ node: Node) -> Int {
    switch atom.axis {
    case .input(let i, let axis): offsets[node.inputs[i].index][axis] + atom.index
    case .output(let o, let axis): offsets[node.outputs[o].index][axis] + atom.index
    }
  }

  private mutating func freezeAll(_ value: ValueID, _ reason: String) {
    for (axis, size) in shapes[value.index].enumerated() {
      for index in 0..<size { freeze(offsets[value.index][axis] + index, reason) }
    }
  }

  package mutating func freeze(_ atom: Int, _ reason: String) {
    let root = find(atom)
    if reasons[root] == nil { reasons[root] = reason }
  }

  /// The representative of an atom's class.
  package mutating func find(_ atom: Int) -> Int {
    var root = atom
    while parent[root] != root { root = parent[root] }
    var step = atom
    while parent[step] != root { (parent[step], step) = (root, parent[step]) }
    return root
  }

  private mutating func unite(_ a: Int, _ b: Int) {
    let (rootA, rootB) = (find(a), find(b))
    guard rootA != rootB else { return }
    let (low, high) = (min(rootA, rootB), max(rootA, rootB))
    parent[high] = low
    if let reason = reasons.removeValue(forKey: high), reasons[low] == nil { reasons[low] = reason }
  }

  /// Why an atom may not be removed; `nil` when it may.
  package mutating func frozenReason(_ atom: Int) -> String? { reasons[find(atom)] }
}
