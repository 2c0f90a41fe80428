import NapCurvature
import NapGraph

/// The loss of closing a unit's gate besides those that are closed already, from the exact Fisher
/// matrix of all gates: `½ E[s_u²] + E[s_u s_R]`, with the sum `s_R` over the closed ones.
package struct JointGateLoss: Criterion {
  package static let name = "gate-joint"
  package static let summary = "the same with correlations between channels"
  package static let evidence: Set<Evidence> = [.gradients(.model)]
  package static let scoresWeights = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    let gates = model.gates(of: unit)
    let closed = model.closedGates
    guard closed.count == gates.count, !gates.isEmpty else { return 0.5 * gates.meanSquare }
    let joint = zip(gates, closed).reduce(0) { $0 + $1.0 * $1.1 } / Double(gates.count)
    return 0.5 * gates.meanSquare + joint
  }
}
