package import NapGraph
import NapOperators
package import NapOutputs
import NapTensor

extension Graph {
  /// Two networks in one: this one answers, and of examples that it doubts the mean of both is said.
  ///
  /// The larger one is a branch behind a gate (`BranchGate`): most examples never go through it. How much an example is
  /// doubted is the impurity of what is said of it, `1 - Σ p²` over classes, as a mean over positions.
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
    let answer = outputs[0].value
    let rank = shapes[answer.index].count
    var result = self
    let second = result.append(larger, prefix: "whole")
    func node(_ suffix: String, _ op: any Operator, _ inputs: [ValueID]) -> ValueID {
      result.addNode("doubt/\(suffix)", op, inputs)[0]
    }
    func constant(_ suffix: String, _ value: Float) -> ValueID {
      result.addConstant("doubt/\(suffix)", Tensor(shape: [1], repeating: value))
    }
    let axes = Array(1..<max(2, rank))
    let doubt: ValueID
    switch distribution {
    case .softmax, .classes:
      var p = answer
      if distribution == .softmax { p = node("probabilities", Softmax(axis: axis + 1), [p]) }
      let positions = shapes[answer.index].product / max(1, shapes[answer.index][axis + 1])
      var sum = node("squares", ReduceSumSquare(axes: axes), [p])
      if positions > 1 {
        sum = node("mean", Mul(), [sum, constant("part", 1 / Float(positions))])
      }
      doubt = node("impurity", Sub(), [constant("one", 1), sum])
    case .sigmoid, .decisions:
      var p = answer
      if distribution == .sigmoid { p = node("probabilities", Sigmoid(), [p]) }
      let no = node("no", Sub(), [constant("one", 1), p])
      let both = node("both", Mul(), [p, no])
      doubt = node(
        "impurity", Mul(),
        [node("mean", ReduceMean(axes: axes), [both]), constant("two", 2)])
    }
    let isAsked = node("isAsked", Greater(), [doubt, constant("threshold", threshold)])
    let asked = node("asked", Cast(to: .float32), [isAsked])
    let difference = node("difference", Sub(), [second, answer])
    let half = node("half", Mul(), [difference, constant("weight", 0.5)])
    let change = node("change", Mul(), [half, asked])
    let mean = node("answer", Add(), [answer, change])
    result.exchangeNames(answer, mean)
    result.outputs[0].value = mean
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
