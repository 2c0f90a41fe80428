extension ParsedModel {
  /// The nodes that contribute to an output, in an order in which each comes after what it reads, and
  /// the values they use.
  ///
  /// Nodes that are in such an order already keep it; ONNX wants one, and runtimes take any.
  ///
  /// - Throws: where a value has two sources, or a node needs what is made from its own output.
  static func sorted(_ graph: ONNXGraphProto) throws(ONNXError) -> (
    nodes: [Int], values: Set<String>
  ) {
    var producer: [String: Int] = [:]
    for (index, node) in graph.node.enumerated() {
      for output in node.output where !output.isEmpty {
        guard producer.updateValue(index, forKey: output) == nil else {
          throw .invalid("value '\(output)' is computed more than once")
        }
      }
    }
    var values = Set(graph.output.map(\.name))
    var used: Set<Int> = []
    var pending = Array(values)
    while let value = pending.popLast() {
      guard let index = producer[value], used.insert(index).inserted else { continue }
      for input in graph.node[index].input where values.insert(input).inserted {
        pending.append(input)
      }
    }
    return (try sorted(used.sorted(), graph, producer), values)
  }

  /// Some nodes, each behind those it reads from, by a search in depth that keeps its own stack:
  /// networks are deeper than stacks are.
  private static func sorted(
    _ nodes: [Int], _ graph: ONNXGraphProto, _ producer: [String: Int]
  ) throws(ONNXError) -> [Int] {
    var order: [Int] = []
    var isOpen: [Int: Bool] = [:]
    for root in nodes where isOpen[root] == nil {
      var stack = [(node: root, input: 0)]
      isOpen[root] = true
      while let (node, input) = stack.last {
        guard input < graph.node[node].input.count else {
          isOpen[node] = false
          order.append(node)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].input += 1
        guard let source = producer[graph.node[node].input[input]] else { continue }
        switch isOpen[source] {
        case nil:
          isOpen[source] = true
          stack.append((source, 0))
        case true?:
          let (name, type) = (graph.node[source].name, graph.node[source].opType)
          throw .invalid(
            "node '\(name.isEmpty ? "\(type)_\(source)" : name)' (\(type)) needs what is computed "
              + "from its own output",
            recovery: "export the model again: no runtime can compute it")
        case false?: break
        }
      }
    }
    return order
  }
}
