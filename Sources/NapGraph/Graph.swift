import Foundation
package import NapTensor

/// Names one value (an edge) of a graph.
package struct ValueID: Codable, Sendable, Hashable, Comparable {
  package let index: Int
  package init(_ index: Int) { self.index = index }
  package static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// One size of a graph input or output: a number, or a name for "any" (a dynamic batch axis, or in
/// files any other).
package enum Dimension: Codable, Sendable, Hashable {
  case fixed(Int)
  case dynamic(String)
}

/// An application of an operator to values.
package struct Node: Sendable {
  package var name: String
  package var op: any Operator
  package var inputs: [ValueID]
  package var outputs: [ValueID]

  package init(name: String, op: any Operator, inputs: [ValueID], outputs: [ValueID]) {
    self.name = name
    self.op = op
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// A network: nodes in topological order over named values, some of them constants.
///
/// A graph is a value: transforms return another graph, the old one stays valid.
package struct Graph: Sendable {
  /// An input or output.
  package struct Port: Codable, Sendable, Hashable {
    package var value: ValueID
    package var dimensions: [Dimension]
    /// The dimensions to write to a file.
    ///
    /// There the batch size may be fixed though the network runs with any, a dynamic one may have no
    /// name, and sizes beyond the batch may be open where the network is the same for all of them.
    /// One that the network depends on is fixed, even if its file has left it open.
    package var declared: [Dimension]
    /// What an input holds; whole numbers are given as floats, too. Of an output, what computes it says.
    package var elementType: ElementType

    package init(
      value: ValueID, dimensions: [Dimension], declared: [Dimension]? = nil,
      elementType: ElementType = .float32
    ) {
      self.elementType = elementType
      self.value = value
      self.dimensions = dimensions
      self.declared = declared ?? dimensions
    }
  }

  package var name = "nap"
  package var nodes: [Node] = []
  package var inputs: [Port] = []
  package var outputs: [Port] = []
  /// Weights and other values known before running.
  package var constants: [ValueID: Tensor] = [:]
  /// The name of every value, by `ValueID.index`.
  package internal(set) var valueNames: [String] = []
  /// Metadata properties of the file, in order.
  package var metadata: [(key: String, value: String)] = []
  package var documentation = ""
  /// Names of nodes whose outputs must keep all their indices.
  package var frozenNodes: Set<String> = []
  /// What is left of the axes that were cut since the network was read, by axis of a value.
  package var cuts: [IndexAtoms.Place: AxisCut] = [:]

  package init() {}

  package mutating func addValue(_ name: String) -> ValueID {
    valueNames.append(name)
    return ValueID(valueNames.count - 1)
  }

  package mutating func addConstant(_ name: String, _ tensor: Tensor) -> ValueID {
    let value = addValue(name)
    constants[value] = tensor
    return value
  }

  /// Appends a node with fresh outputs; the first output bears the node's name.
  package mutating func addNode(
    _ name: String, _ op: any Operator, _ inputs: [ValueID], outputCount: Int = 1
  )
    -> [ValueID]
  {
    let outputs = (0..<outputCount).map { addValue($0 == 0 ? name : "\(name)_\($0)") }
    nodes.append(Node(name: name, op: op, inputs: inputs, outputs: outputs))
    return outputs
  }

  package func name(of value: ValueID) -> String { valueNames[value.index] }

  /// Consumers of every value, as node indices, by `ValueID.index`.
  package var consumers: [[Int]] {
    var result = [[Int]](repeating: [], count: valueNames.count)
    for (n, node) in nodes.enumerated() {
      for input in node.inputs { result[input.index].append(n) }
    }
    return result
  }

  /// The node that computes each value, by `ValueID.index`; `nil` for inputs and constants.
  package var producers: [Int?] {
    var result = [Int?](repeating: nil, count: valueNames.count)
    for (n, node) in nodes.enumerated() { for output in node.outputs { result[output.index] = n } }
    return result
  }

  /// What each constant is for, judged by its consumers.
  package var parameterRoles: [ValueID: ParameterRole] {
    var roles: [ValueID: ParameterRole] = [:]
    for node in nodes {
      for (i, input) in node.inputs.enumerated() where constants[input] != nil {
        if let role = node.op.role(ofInput: i) { roles[input] = role }
      }
    }
    return roles
  }
}

/// What is wrong with a graph, with the node or value that is to blame.
package enum GraphError: NapError, Equatable {
  case node(name: String, type: String, problem: String, recovery: String?)
  case inputCount(expected: Int, given: Int)
  case inputShape(name: String, expected: String, given: [Int])
  /// One whose first axis does not count examples.
  case output(name: String)
  case invalid(String)
  case memory(MemoryError)

  package var problem: String {
    switch self {
    case .node(let name, let type, let problem, _): "node '\(name)' (\(type)): \(problem)"
    case .inputCount(let expected, let given):
      "the network has \(expected) inputs, \(given) were given"
    case .inputShape(let name, let expected, let given):
      "input '\(name)' expects shape \(expected), but \(given.map(String.init).joined(separator: "x")) was given"
    case .output(let name): "the first axis of output '\(name)' does not count examples"
    case .invalid(let problem): problem
    case .memory(let error): error.problem
    }
  }

  package var recovery: String? {
    switch self {
    case .node(_, _, _, let recovery): recovery
    case .memory(let error): error.recovery
    case .output: "export the network without that output"
    default: nil
    }
  }
}
