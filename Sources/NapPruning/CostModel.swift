package import NapGraph
import NapTensor

/// What a network costs.
package enum Cost: String, Sendable, CaseIterable {
  /// Multiply-accumulates of one example.
  case macs
  /// Numbers in weights, biases and normalizations.
  case parameters
  /// Nanoseconds of a batch, as a table predicts them.
  case latency
}

/// Multiply-accumulates and parameters of a network that is being cut.
///
/// The cost of an affine node is proportional to the size of its weight, so all that must be
/// remembered is how many indices are left on every axis; products of computed values, such as those of
/// attention, are counted anew.
package struct CostModel: Sendable {
  private struct Item {
    var counts: [Int]
    /// Multiply-accumulates per element.
    var positions: Int
    var isParameter: Bool
    var size: Int { counts.reduce(1, *) }
  }

  /// A node that multiplies what is computed, with the sizes that are left.
  private struct Product {
    /// Index in the graph.
    let node: Int
    let op: any Operator
    let inputs: [ValueID]
    let outputs: [ValueID]
    var shapes: [ValueID: [Int]]

    /// 0 where it is gone.
    var macs: Int {
      guard !shapes.isEmpty else { return 0 }
      func all(_ values: [ValueID]) -> [[Int]] { values.map { shapes[$0] ?? [] } }
      return op.macs(inputs: all(inputs), outputs: all(outputs))
    }

    mutating func remove(_ unit: PruningUnit) {
      for value in shapes.keys {
        for axis in shapes[value]?.indices ?? 0..<0 {
          let gone = unit.places[IndexAtoms.Place(value: value, axis: axis)]
          shapes[value]?[axis] -= gone?.count ?? 0
        }
      }
    }
  }

  private var items: [ValueID: Item] = [:]
  private var products: [Product] = []
  /// By value that they read or compute.
  private var productsOfValue: [ValueID: [Int]] = [:]
  package private(set) var macs: Int
  package private(set) var parameters = 0
  private var latency: LatencyModel?

  /// - Parameter table: what latencies are predicted from; without, they are 0.
  package init(_ graph: Graph, latencies table: LatencyTable? = nil) throws(GraphError) {
    latency = try table.map { table throws(GraphError) in try LatencyModel(graph, table) }
    let shapes = try graph.shapes(batch: 1)
    let roles = graph.parameterRoles
    for (value, role) in roles where role != .statistic {
      guard let tensor = graph.constants[value], tensor.isFloat else { continue }
      items[value] = Item(counts: tensor.shape, positions: 0, isParameter: true)
      parameters += tensor.count
    }
    let byNode = graph.macsByNode(shapes: shapes)
    for (index, macs) in byNode.enumerated() where macs > 0 {
      let node = graph.nodes[index]
      if node.op is any AffineOperator, let size = items[node.inputs[1]]?.size, size > 0 {
        items[node.inputs[1]]?.positions += macs / size
        continue
      }
      let values = Set(node.inputs + node.outputs)
      for value in values { productsOfValue[value, default: []].append(products.count) }
      products.append(
        Product(
          node: index, op: node.op, inputs: node.inputs, outputs: node.outputs,
          shapes: Dictionary(uniqueKeysWithValues: values.map { ($0, shapes[$0.index]) })))
    }
    macs = byNode.reduce(0, +)
  }

  package func value(_ cost: Cost) -> Int {
    switch cost {
    case .macs: macs
    case .parameters: parameters
    case .latency: Int(latency?.nanoseconds ?? 0)
    }
  }

  /// What removing a unit saves now of one cost.
  package func saving(of unit: PruningUnit, _ cost: Cost) -> Double {
    switch cost {
    case .macs: Double(saving(of: unit).macs)
    case .parameters: Double(saving(of: unit).parameters)
    case .latency: latency?.saving(of: unit) ?? 0
    }
  }

  /// What removing a unit saves now.
  package func saving(of unit: PruningUnit) -> (macs: Int, parameters: Int) {
    var (macs, parameters) = (0, 0)
    var affected: Set<Int> = []
    for (value, axes) in Self.byValue(unit) {
      affected.formUnion(productsOfValue[value] ?? [])
      guard var item = items[value] else { continue }
      let before = item.size
      for (axis, count) in axes { item.counts[axis] -= count }
      macs += (before - item.size) * item.positions
      if item.isParameter { parameters += before - item.size }
    }
    for index in affected {
      var left = products[index]
      left.remove(unit)
      macs += products[index].macs - left.macs
    }
    return (macs, parameters)
  }

  package mutating func remove(_ unit: PruningUnit) {
    let saved = saving(of: unit)
    latency?.remove(unit)
    for (value, axes) in Self.byValue(unit) {
      for (axis, count) in axes { items[value]?.counts[axis] -= count }
    }
    for index in products.indices { products[index].remove(unit) }
    macs -= saved.macs
    parameters -= saved.parameters
  }

  /// What removing a branch saves now of one cost.
  package func saving(of branch: ResidualBranch, _ cost: Cost) -> Double {
    var left = self
    left.remove(branch)
    return Double(value(cost) - left.value(cost))
  }

  package mutating func remove(_ branch: ResidualBranch) {
    latency?.remove(branch)
    for value in branch.constants {
      guard let item = items.removeValue(forKey: value) else { continue }
      macs -= item.size * item.positions
      if item.isParameter { parameters -= item.size }
    }
    for index in products.indices where branch.nodes.contains(products[index].node) {
      macs -= products[index].macs
      products[index].shapes = [:]
    }
  }

  private static func byValue(_ unit: PruningUnit) -> [ValueID: [(axis: Int, count: Int)]] {
    var result: [ValueID: [(axis: Int, count: Int)]] = [:]
    for (place, indices) in unit.places {
      result[place.value, default: []].append((place.axis, indices.count))
    }
    return result
  }
}
