package import NapGraph
package import NapOperators
import NapTensor

/// What a network with gates costs, by how much of each gate is open.
package struct GatedCost: Sendable {
  /// A convolution whose outputs, inputs or both have a gate.
  private struct Term {
    var macs: Double
    var output: Int?
    var input: Int?
  }

  package let gates: [ChannelGate]
  /// Multiply-accumulates that are always computed, those of the gates among them.
  package let fixed: Double
  private let terms: [Term]

  package init(_ graph: Graph) throws(GraphError) {
    let shapes = try graph.shapes(batch: 1)
    let layers = GatedLayers(graph, shapes: shapes)
    let macs = graph.macsByNode(shapes: shapes)
    gates = layers.gates
    terms = layers.layers.map {
      Term(macs: Double(macs[$0.node]), output: $0.output, input: $0.input)
    }
    fixed = Double(macs.reduce(0, +)) - terms.reduce(0) { $0 + $1.macs }
  }

  /// Multiply-accumulates of one example.
  ///
  /// - Parameter open: the share of the channels that is computed, by gate.
  package func macs(open: [Double]) -> Double {
    terms.reduce(fixed) { sum, term in
      sum + term.macs * (term.output.map { open[$0] } ?? 1) * (term.input.map { open[$0] } ?? 1)
    }
  }

  /// The derivatives of `macs` in the shares.
  package func prices(open: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: gates.count)
    for term in terms {
      let (output, input) = (term.output.map { open[$0] } ?? 1, term.input.map { open[$0] } ?? 1)
      if let gate = term.output { result[gate] += term.macs * input }
      if let gate = term.input { result[gate] += term.macs * output }
    }
    return result
  }

  /// With everything open.
  package var most: Double { macs(open: gates.map { _ in 1 }) }
  /// With everything closed.
  package var least: Double { macs(open: gates.map { _ in 0 }) }
}
