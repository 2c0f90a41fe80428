package import NapGraph
import NapTensor

/// Where the constant that compensation adds to a node's output is kept.
package enum BiasHome: Sendable, Hashable {
  /// In a bias of the layer's own, which is multiplied by a factor.
  case bias(ValueID, factor: Float)
  /// In a copy of a bias that others read too.
  case copy(ValueID, factor: Float)
  /// In what the node behind adds, as exporters write the biases of products of tokens.
  case addend(ValueID)
  /// Taken off the running mean of the normalization that follows.
  case runningMean(ValueID)
  /// In a bias that the node does not have yet, multiplied by a factor.
  case newBias(factor: Float)
  /// Nowhere.
  case none

  /// - Parameters:
  ///   - uses: how often each constant is read.
  ///   - layer: what the node is one of.
  init(
    of reader: AffineLayer.Reader, in layer: AffineLayer, _ graph: Graph, uses: [ValueID: Int],
    consumers: [[Int]]
  ) {
    let (node, factor) = (reader.node, reader.op.biasFactor)
    if let bias = node.inputs.dropFirst(2).first {
      guard graph.constants[bias] != nil, factor != 0 else {
        self = .none
        return
      }
      let others = layer.readers.filter {
        $0.node.inputs.dropFirst(2).first == bias && $0.op.biasFactor == factor
      }
      self =
        uses[bias] == others.count ? .bias(bias, factor: factor) : .copy(bias, factor: factor)
      return
    }
    let output = node.outputs[0]
    let readers = consumers[output.index].map { graph.nodes[$0] }
    let isOutput = graph.outputs.contains { $0.value == output }
    let next = isOutput || readers.count != 1 ? nil : readers.first
    if let next, next.inputs.count > 3, next.op.role(ofInput: 3) == .statistic,
      next.inputs[0] == output, uses[next.inputs[3]] == 1
    {
      self = .runningMean(next.inputs[3])
    } else if reader.op.acceptsBias {
      self = factor != 0 ? .newBias(factor: factor) : .none
    } else if let next, let addend = next.inputs.first(where: { $0 != output }),
      next.op is any ResidualOperator, uses[addend] == 1, let tensor = graph.constants[addend],
      tensor.shape.last == reader.shape.outputs, tensor.count == reader.shape.outputs
    {
      self = .addend(addend)
    } else {
      self = .none
    }
  }

  /// Adds constants to the outputs of some nodes.
  ///
  /// - Parameters:
  ///   - constants: one for every output feature.
  ///   - name: what a new bias is called.
  static func add(
    _ constants: [Double], at homes: [(node: Int, home: BiasHome)], named name: String,
    to graph: inout Graph
  ) {
    guard constants.contains(where: { $0 != 0 }) else { return }
    // What several nodes share stays shared, and changes once.
    var done: [BiasHome: ValueID] = [:]
    func shifted(_ old: Tensor, by factor: Double) -> Tensor {
      Tensor(
        shape: old.shape,
        floats: zip(old.floats, constants).map { Float(Double($0) + $1 * factor) })
    }
    for (node, home) in homes {
      let known = done[home]
      switch home {
      case .bias(let value, let factor):
        guard known == nil, let bias = graph.constants[value] else { continue }
        graph.constants[value] = shifted(bias, by: 1 / Double(factor))
        done[home] = value
      case .addend(let value):
        guard known == nil, let addend = graph.constants[value] else { continue }
        graph.constants[value] = shifted(addend, by: 1)
        done[home] = value
      case .runningMean(let value):
        guard known == nil, let mean = graph.constants[value] else { continue }
        graph.constants[value] = shifted(mean, by: -1)
        done[home] = value
      case .copy(let value, let factor):
        guard let bias = graph.constants[value] else { continue }
        let copy =
          known
          ?? graph.addConstant(graph.unused(name), shifted(bias, by: 1 / Double(factor)))
        graph.nodes[node].inputs[2] = copy
        done[home] = copy
      case .newBias(let factor):
        guard graph.nodes[node].inputs.count == 2 else { continue }
        let none = Tensor(shape: [constants.count], repeating: 0)
        let bias =
          known ?? graph.addConstant(graph.unused(name), shifted(none, by: 1 / Double(factor)))
        graph.nodes[node].inputs.append(bias)
        done[home] = bias
      case .none: continue
      }
    }
  }
}

extension Graph {
  /// The name, or with a number where a value has it.
  fileprivate func unused(_ name: String) -> String {
    let taken = Set(valueNames)
    guard taken.contains(name) else { return name }
    return (2...).lazy.map { "\(name)_\($0)" }.first { !taken.contains($0) } ?? name
  }
}
