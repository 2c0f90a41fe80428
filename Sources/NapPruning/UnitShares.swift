package import NapGraph

/// What layers have of every unit: the columns they read it with and the rows that compute it.
struct UnitShares: Sendable {
  struct Reads: Sendable {
    /// The first node of the layer.
    let node: Int
    let group: Int
    let columns: [Int]
  }
  struct Computes: Sendable {
    let node: Int
    let rows: [(group: Int, row: Int)]
  }

  /// By unit, in a fixed order: sums of floating point numbers depend on it.
  let reads: [[Reads]]
  let computes: [[Computes]]

  /// - Parameter shapes: of all values.
  init(_ units: [PruningUnit], of layers: [Int: LayerModel], _ graph: Graph, _ shapes: [[Int]]) {
    var inputs: [IndexAtoms.Place: [LayerModel]] = [:]
    var outputs = inputs
    // Whatever is tied to a feature is tied to it at all readers of a weight: one tells.
    for (index, layer) in layers.sorted(by: { $0.key < $1.key }) {
      let node = graph.nodes[index]
      inputs[.input(of: node, layer.op, shapes), default: []].append(layer)
      outputs[.output(of: node, layer.op, shapes), default: []].append(layer)
    }
    var (reads, computes) = ([[Reads]](), [[Computes]]())
    for unit in units {
      let places = unit.places.sorted { ($0.key.value, $0.key.axis) < ($1.key.value, $1.key.axis) }
      let computed = places.flatMap { place, indices in
        (outputs[place] ?? []).map { Computes(node: $0.node, rows: $0.rows(ofOutputs: indices)) }
      }
      /// Whether nothing is left that could make up for anything.
      func isGone(_ layer: LayerModel, _ group: Int) -> Bool {
        guard layer.shape.groups > 1 else { return false }
        let rows = computed.filter { $0.node == layer.node }.flatMap(\.rows)
        return rows.count { $0.group == group } == layer.shape.outputs
      }
      computes.append(computed)
      reads.append(
        places.flatMap { place, indices in
          (inputs[place] ?? []).flatMap { layer in
            layer.columns(ofInputs: indices).filter { !isGone(layer, $0.group) }
              .map { Reads(node: layer.node, group: $0.group, columns: $0.columns) }
          }
        })
    }
    (self.reads, self.computes) = (reads, computes)
  }
}

extension IndexAtoms.Place {
  /// Where the features are that an affine node reads.
  package static func input(of node: Node, _ op: any AffineOperator, _ shapes: [[Int]]) -> Self {
    let value = node.inputs[0]
    return Self(value: value, axis: op.featureAxis(ofRank: shapes[value.index].count))
  }

  /// Where the features are that it computes.
  package static func output(of node: Node, _ op: any AffineOperator, _ shapes: [[Int]]) -> Self {
    let value = node.outputs[0]
    return Self(value: value, axis: op.featureAxis(ofRank: shapes[value.index].count))
  }
}
