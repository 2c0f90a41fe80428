package import NapGraph
package import NapOperators
import NapTensor

/// What a network with gates costs, by how much of each gate is open.
package struct GatedCost: Sendable {
  /// A node that gates decide about: a convolution, by its outputs, its inputs, and the branch that it is in.
  private struct Term {
    var macs: Double
    var gates: [Int]

    func macs(open: [Double]) -> Double { gates.reduce(macs) { $0 * open[$1] } }
  }

  package let gates: [any Gate]
  /// Multiply-accumulates that are always computed, those of the gates among them.
  package let fixed: Double
  private let terms: [Term]

  package init(_ graph: Graph) throws(GraphError) {
    let shapes = try graph.shapes(batch: 1)
    let layers = GatedLayers(graph, shapes: shapes)
    let branches = graph.branchGates(shapes)
    let macs = graph.macsByNode(shapes: shapes)
    gates = layers.gates as [any Gate] + branches
    var byNode: [Int: [Int]] = [:]
    for layer in layers.layers {
      byNode[layer.node] = [layer.output, layer.input].compactMap { $0 }
    }
    for (index, branch) in branches.enumerated() {
      for node in branch.nodes { byNode[node, default: []].append(layers.gates.count + index) }
    }
    terms = byNode.keys.sorted().map { Term(macs: Double(macs[$0]), gates: byNode[$0] ?? []) }
    fixed = Double(macs.reduce(0, +)) - terms.reduce(0) { $0 + $1.macs }
  }

  /// Multiply-accumulates of one example.
  ///
  /// - Parameter open: the share of what is computed, by gate.
  package func macs(open: [Double]) -> Double {
    terms.reduce(fixed) { $0 + $1.macs(open: open) }
  }

  /// The derivatives of `macs` in the shares.
  package func prices(open: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: gates.count)
    for term in terms {
      for (place, gate) in term.gates.enumerated() {
        result[gate] += term.gates.enumerated().reduce(term.macs) {
          $1.offset == place ? $0 : $0 * open[$1.element]
        }
      }
    }
    return result
  }

  /// With everything open.
  package var most: Double { macs(open: gates.map { _ in 1 }) }
  /// With everything closed.
  package var least: Double { macs(open: gates.map { _ in 0 }) }
}
