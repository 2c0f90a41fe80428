package import NapGraph
import NapOperators
package import NapOutputs
import NapTensor

extension Graph {
  /// Two networks in one: this one answers, but for examples that it doubts, of which the larger one does.
  ///
  /// The larger one is a branch behind a gate (`BranchGate`), and marked as such: most examples never go through it. Doubt is what is left
  /// for other classes than the likeliest, `1 - max p`, as a mean over positions or decisions.
  ///
  /// - Parameters:
  ///   - larger: takes and gives the same.
  ///   - distribution: what the output's numbers say about classes, along `axis` of an example.
  ///   - threshold: doubt above which the larger one is asked.
  /// - Source: Viola and Jones 2001; Wang et al. 2022, "Wisdom of Committees", arXiv:2012.01988.
  package func askingWhereInDoubt(
    _ larger: Graph, distribution: Distribution, axis: Int, threshold: Float
  ) throws(GraphError) -> Graph {
    let shapes = try shapes(batch: 1)
    guard outputs.count == 1, larger.outputs.count == 1, inputs.count == larger.inputs.count else {
      throw .invalid("networks with one output each can answer for each other")
    }
    // What is read under this name is what both say.
    let both = outputs[0].value
    let rank = shapes[both.index].count
    var result = self
    let answer = result.addValue("\(name(of: both))/first")
    for index in nodes.indices {
      func moved(_ value: ValueID) -> ValueID { value == both ? answer : value }
      result.nodes[index].inputs = nodes[index].inputs.map(moved)
      result.nodes[index].outputs = nodes[index].outputs.map(moved)
    }
    let second = result.append(larger, prefix: "whole")
    func node(_ suffix: String, _ op: any Operator, _ inputs: [ValueID]) -> ValueID {
      result.addNode("doubt/\(suffix)", op, inputs)[0]
    }
    func constant(_ suffix: String, _ value: Float) -> ValueID {
      result.addConstant("doubt/\(suffix)", Tensor(shape: [1], repeating: value))
    }
    var p = answer
    let doubts: ValueID
    switch distribution {
    case .softmax, .classes:
      if distribution == .softmax { p = node("probabilities", Softmax(axis: axis + 1), [p]) }
      let likeliest = node("likeliest", ReduceMax(axes: [axis + 1]), [p])
      doubts = node("doubts", Sub(), [constant("one", 1), likeliest])
    case .sigmoid, .decisions:
      if distribution == .sigmoid { p = node("probabilities", Sigmoid(), [p]) }
      doubts = node("doubts", Min(), [p, node("no", Sub(), [constant("one", 1), p])])
    }
    let doubt = node("mean", ReduceMean(axes: Array(1..<max(2, rank))), [doubts])
    let isAsked = node("isAsked", Greater(), [doubt, constant("threshold", threshold)])
    let asked = node("asked", Cast(to: .float32), [isAsked])
    let difference = node("difference", Sub(), [second, answer])
    let change = node("change", Mul(), [difference, asked])
    result.nodes.append(
      Node(name: "doubt/answer", op: Add(), inputs: [answer, change], outputs: [both]))
    if !result.isMarkedDynamic {
      let macs = larger.macsByNode(shapes: try larger.shapes(batch: 1)).reduce(0, +)
      result.metadata.append((key: Self.dynamicKey, value: String(macs)))
    }
    return result
  }

  /// Appends a network that reads the same inputs.
  ///
  /// - Parameter prefix: of its names.
  /// - Returns: its output.
  private mutating func append(_ other: Graph, prefix: String) -> ValueID {
    var places: [ValueID: ValueID] = [:]
    for (own, others) in zip(inputs, other.inputs) { places[others.value] = own.value }
    for value in other.constants.keys.sorted() {
      places[value] = other.constants[value].map {
        addConstant("\(prefix)/\(other.name(of: value))", $0)
      }
    }
    for var node in other.nodes {
      for output in node.outputs {
        places[output] = addValue("\(prefix)/\(other.name(of: output))")
      }
      (node.inputs, node.outputs) = (
        node.inputs.compactMap { places[$0] }, node.outputs.compactMap { places[$0] }
      )
      node.name = "\(prefix)/\(node.name)"
      nodes.append(node)
    }
    let output = other.outputs[0].value
    return places[output] ?? output
  }
}
