package import NapGraph
import NapTensor

/// Nodes that only a product reads, whose other factor is 0 for examples that do not need them.
///
/// In a file they are the branch of an `If`, which runtimes enter where any example of a batch needs it: what is left
/// out is left out there, too, most of all of single examples.
package struct FileBranch: Sendable {
  /// Index of the product in the graph.
  package let product: Int
  /// Its other factor, a number of each example.
  package let decision: ValueID
  /// Indices of the nodes, in order.
  package let nodes: [Int]
  /// Of what is multiplied, for one example: `[1, …]`.
  package let shape: [Int]

  package init(product: Int, decision: ValueID, nodes: [Int], shape: [Int]) {
    (self.product, self.decision, self.nodes, self.shape) = (product, decision, nodes, shape)
  }
}

// MARK: Writing
extension ONNXGraphProto {
  /// Puts nodes into branches of `If`.
  ///
  /// - Parameters:
  ///   - branches: by indices of `node`.
  ///   - decisions: the names of their decisions.
  mutating func nest(_ branches: [FileBranch], decisions: [String]) {
    var replaced: [Int: [ONNXNodeProto]] = [:]
    for (branch, decision) in zip(branches, decisions) {
      var product = node[branch.product]
      let (name, output) = (product.name, product.output[0])
      product.output = ["\(output)/then"]
      var then = ONNXGraphProto()
      then.name = "\(name)/then"
      then.node = branch.nodes.map { node[$0] } + [product]
      then.output = [Self.result(product.output[0], branch.shape)]
      var otherwise = ONNXGraphProto()
      otherwise.name = "\(name)/else"
      let zeros = "\(name)/zeros"
      otherwise.node = [
        Self.node("Mul", "\(name)/else", [decision, zeros], "\(output)/else")
      ]
      otherwise.initializer = [
        ONNXTensorProto(Tensor(shape: branch.shape, repeating: 0), name: zeros)
      ]
      otherwise.output = [Self.result("\(output)/else", branch.shape)]
      var largest = Self.node("ReduceMax", "\(name)/largest", [decision], "\(name)/largest")
      largest.attribute = [ONNXAttributeProto(.int(0), name: "keepdims")]
      var any = Self.node("Cast", "\(name)/any", ["\(name)/largest"], "\(name)/any")
      any.attribute = [
        ONNXAttributeProto(.int(ONNXTensorProto.DataType.bool.rawValue), name: "to")
      ]
      var choice = Self.node("If", name, ["\(name)/any"], output)
      choice.attribute = [
        ONNXAttributeProto(graph: then, name: "then_branch"),
        ONNXAttributeProto(graph: otherwise, name: "else_branch"),
      ]
      for index in branch.nodes { replaced[index] = [] }
      replaced[branch.product] = [largest, any, choice]
    }
    node = node.enumerated().flatMap { replaced[$0.offset] ?? [$0.element] }
  }

  /// Gives branches the initializers that nobody else reads, where runtimes find them at once.
  mutating func moveInitializersIntoBranches() {
    guard node.contains(where: { $0.opType == "If" }) else { return }
    let outside = Set(
      node.flatMap(\.input) + output.map(\.name)
        + node.flatMap { node in
          node.attribute.filter { $0.name == "else_branch" }.flatMap { $0.g.node.flatMap(\.input) }
        })
    for index in node.indices where node[index].opType == "If" {
      let inside = Set(node[index].attribute[0].g.node.flatMap(\.input)).subtracting(outside)
      let isOwn = initializer.map { inside.contains($0.name) && $0.dataLocation != .external }
      node[index].attribute[0].g.initializer = zip(initializer, isOwn).filter(\.1).map(\.0)
      initializer = zip(initializer, isOwn).filter { !$0.1 }.map(\.0)
    }
  }

  private static func node(
    _ type: String, _ name: String, _ inputs: [String], _ output: String
  ) -> ONNXNodeProto {
    var node = ONNXNodeProto()
    (node.opType, node.name, node.input, node.output) = (type, name, inputs, [output])
    return node
  }

  private static func result(_ name: String, _ shape: [Int]) -> ONNXValueInfoProto {
    var info = ONNXValueInfoProto()
    info.name = name
    info.type.tensorType.elemType = Int32(ONNXTensorProto.DataType.float.rawValue)
    info.type.tensorType.shape.dim = shape.enumerated().map { axis, size in
      var dimension = ONNXTensorShapeProto.Dimension()
      if axis == 0 { dimension.dimParam = "N" } else { dimension.dimValue = Int64(size) }
      return dimension
    }
    return info
  }
}

extension ONNXAttributeProto {
  fileprivate init(graph: ONNXGraphProto, name: String) {
    self.init()
    (self.name, g, type) = (name, graph, .graph)
  }
}

// MARK: Reading
extension ONNXGraphProto {
  /// Takes nodes out of the branches that `nest` puts them into, where it is as it writes it: what is then multiplied by 0
  /// is 0 either way. Any other `If` stays.
  mutating func flattenBranches() {
    let producers = Dictionary(
      node.enumerated().flatMap { index, node in node.output.map { ($0, index) } },
      uniquingKeysWith: { first, _ in first })
    func producer(_ type: String, of name: String?) -> ONNXNodeProto? {
      name.flatMap { producers[$0] }.map { node[$0] }.flatMap { $0.opType == type ? $0 : nil }
    }
    var moved: [ONNXTensorProto] = []
    node = node.flatMap { choice -> [ONNXNodeProto] in
      guard choice.opType == "If", choice.output.count == 1,
        let then = choice.graph("then_branch"), let otherwise = choice.graph("else_branch"),
        let any = producer("Cast", of: choice.input.first),
        let decision = producer("ReduceMax", of: any.input.first)?.input.first,
        producer("Greater", of: producer("Cast", of: decision)?.input.first) != nil,
        var product = then.node.last, product.opType == "Mul", product.input.contains(decision),
        product.output == then.output.map(\.name), product.output.count == 1,
        otherwise.node.count == 1, otherwise.node[0].opType == "Mul",
        otherwise.node[0].output == otherwise.output.map(\.name),
        otherwise.initializer.count == 1, otherwise.initializer[0].isZero,
        otherwise.node[0].input == [decision, otherwise.initializer[0].name],
        then.sparseInitializer.isEmpty
      else { return [choice] }
      product.output = choice.output
      moved += then.initializer
      return then.node.dropLast() + [product]
    }
    initializer += moved
  }
}

extension ONNXNodeProto {
  fileprivate func graph(_ name: String) -> ONNXGraphProto? {
    attribute.first { $0.name == name && $0.hasG }?.g
  }
}

extension ONNXTensorProto {
  fileprivate var isZero: Bool {
    dataType == Int32(DataType.float.rawValue) && !rawData.isEmpty && rawData.allSatisfy { $0 == 0 }
  }
}
