package import NapGraph
import NapTensor

/// A branch of a network that only some examples need: what it computes is multiplied by 1 where a number of the
/// example is above a threshold, and by 0 elsewhere.
///
/// In files it is `Greater` with a constant, `Cast` and `Mul`: plain ONNX that every runtime computes, if at full price.
/// The branch is all that only the `Mul` needs. Whether examples are independent of each other in there no graph tells:
/// metadata has to say that it is dynamic (`Graph.isMarkedDynamic`).
package struct BranchGate: Gate {
  package let product: Int
  package let threshold: Int
  package let alpha: Float
  package let saliency: ValueID
  package let features: ValueID
  /// What it is multiplied by, `[n, 1, …]`.
  package let decision: ValueID
  /// Indices of the branch's nodes, in order.
  package let nodes: [Int]

  package var unitCount: Int { 1 }
  package var shares: [Double] { [1] }
  package var scales: Bool { false }
}

extension Graph {
  /// The key of the metadata that says what the network costs without gates.
  package static let dynamicKey = "nap.dynamic"

  /// Whether the file says that it decides example by example what is computed.
  package var isMarkedDynamic: Bool { metadata.contains { $0.key == Self.dynamicKey } }

  /// All gates of branches, in order; none where the file does not say that there are some.
  ///
  /// - Parameter shapes: of all values.
  package func branchGates(_ shapes: [[Int]]) -> [BranchGate] {
    guard isMarkedDynamic else { return [] }
    let (producers, readings) = (producers, readings)
    let gates = nodes.indices.compactMap { branchGate(at: $0, shapes, producers, readings) }
    return gates.count > Self.mostBranches ? [] : gates
  }

  /// Plans of branches are nested: of more, nothing is left out.
  private static let mostBranches = 16

  /// Those that are in no branch of another.
  package func outermostBranchGates(_ shapes: [[Int]]) -> [BranchGate] {
    let gates = branchGates(shapes)
    let inner = Set(gates.flatMap(\.nodes))
    return gates.filter { !inner.contains($0.product) }
  }

  private func branchGate(
    at index: Int, _ shapes: [[Int]], _ producers: [Int?], _ readings: [Int]
  ) -> BranchGate? {
    let node = nodes[index]
    guard node.op is Mul else { return nil }
    for side in 0..<2 {
      let (decision, features) = (node.inputs[side], node.inputs[1 - side])
      let shape = shapes[features.index]
      guard decision != features, let cast = producers[decision.index],
        let number = nodes[cast].op as? Cast, number.type == .float32,
        let place = producers[nodes[cast].inputs[0].index], nodes[place].op is Greater,
        let alpha = constants[nodes[place].inputs[1]],
        alpha.count == 1, alpha.isFloat, let examples = shape.first,
        shapes[decision.index] == [examples] + shape.dropFirst().map({ _ in 1 }),
        shapes[nodes[place].inputs[0].index] == shapes[decision.index]
      else { continue }
      let branch = nodes(
        onlyFor: features, readBy: index, producers: producers, readings: readings)
      guard !branch.isEmpty else { continue }
      return BranchGate(
        product: index, threshold: place, alpha: alpha.floats[0],
        saliency: nodes[place].inputs[0], features: features, decision: decision, nodes: branch)
    }
    return nil
  }
}
