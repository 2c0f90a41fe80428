import NapGraph
import NapTensor

extension ParsedModel {
  /// An axis of a value of the file.
  typealias NamedAxis = (name: String, axis: Int)

  /// The graph of a trace.
  ///
  /// - Parameters:
  ///   - inputs: the dimensions of the inputs.
  ///   - dimension: the dimension of an axis of an output, given its size in the trace.
  func graph(
    of trace: Trace, inputs dimensions: [[Dimension]], dimension: (NamedAxis, Int) -> Dimension
  ) -> Graph {
    var graph = Graph()
    graph.name = name
    graph.documentation = documentation
    graph.metadata = metadata
    var values: [String: ValueID] = [:]
    func value(_ name: String) -> ValueID {
      if let value = values[name] { return value }
      let constant = trace.constants[name]?.inSinglePrecision
      let value = constant.map { graph.addConstant(name, $0) } ?? graph.addValue(name)
      values[name] = value
      return value
    }
    for (input, dimensions) in zip(inputs, dimensions) {
      graph.inputs.append(
        Graph.Port(
          value: value(input.name), dimensions: dimensions,
          declared: input.declaredAsInput(dimensions), elementType: input.elementType))
    }
    var read: Set<ValueID> = []
    for node in trace.nodes {
      var inputs = node.inputs.map(value)
      // Exporters store equal constants once. Biases of zeros are parameters of their own
      // nevertheless: layers that shared them would have to be cut and trained alike.
      for (i, input) in inputs.enumerated() {
        guard let tensor = graph.uniformParameter(input, i, of: node.op),
          !read.insert(input).inserted
        else { continue }
        inputs[i] = graph.addConstant("\(graph.name(of: input))/\(node.name)/\(i)", tensor)
      }
      let outputs = node.outputs.map(value)
      graph.nodes.append(
        NapGraph.Node(name: node.name, op: node.op, inputs: inputs, outputs: outputs))
    }
    for output in outputs {
      let dimensions = trace.shape(of: output.name).enumerated().map {
        dimension((output.name, $0), $1)
      }
      graph.outputs.append(
        Graph.Port(
          value: value(output.name), dimensions: dimensions,
          declared: output.declaredAsOutput(dimensions, sizesAreOpen: hasOpenSizes)))
    }
    return graph
  }
}

extension Graph {
  /// An input of an operator, if it is a parameter that says nothing but one number.
  fileprivate func uniformParameter(_ value: ValueID, _ index: Int, of op: any Operator) -> Tensor?
  {
    guard let tensor = constants[value], tensor.floats.count > 1, op.role(ofInput: index) != nil,
      tensor.floats.allSatisfy({ $0 == tensor.floats[0] })
    else { return nil }
    return tensor
  }
}

extension Signature {
  /// What to write for an input that was read with these dimensions: the open ones as they were
  /// declared, the others with the sizes that were used.
  fileprivate func declaredAsInput(_ used: [Dimension]) -> [Dimension] {
    used.enumerated().map { axis, used in
      used.isDynamic ? dimensions?[axis] ?? .dynamic("") : used
    }
  }

  /// What to write for an output: what was declared, unless it is not true.
  ///
  /// - Parameter sizesAreOpen: whether the file leaves sizes of inputs open, some of which may not
  ///   be by now.
  fileprivate func declaredAsOutput(_ computed: [Dimension], sizesAreOpen: Bool) -> [Dimension] {
    guard let dimensions, dimensions.count == computed.count else { return computed }
    return zip(dimensions, computed).map { declared, computed in
      switch (declared, computed) {
      case (.fixed, .fixed), (.fixed, .dynamic("")): computed
      case (.dynamic, .fixed): sizesAreOpen ? computed : declared
      default: declared
      }
    }
  }
}

extension ParsedModel {
  /// Whether sizes beyond the batch are left open.
  fileprivate var hasOpenSizes: Bool {
    inputs.contains { $0.dimensions?.dropFirst().contains(where: \.isDynamic) ?? false }
  }
}

extension Trace {
  /// Whether a graph's shapes are those of the trace, value by value.
  func agrees(with shapes: [[Int]], of graph: Graph) -> Bool {
    graph.nodes.flatMap(\.outputs).allSatisfy { value in
      let name = graph.name(of: value)
      // Values that only the merged trace has are not known here.
      return !isDefined(name) || shapes[value.index] == shape(of: name)
    }
  }
}
