package import NapCurvature
import NapGraph

/// What is lost when another unit takes over what a unit does: what it contributes, times how far it is
/// from the nearest unit of its cluster that is left.
///
/// Units that never fire go first, those without anybody in their cluster last: magnitudes keep what is
/// there twice and remove what is there once.
///
/// Not as published: there a filter contributes the norm of the gradient by its activation, which
/// depends on the scale of either; here it is the exact loss of closing its gate, in nats, which layers
/// can be compared by. A cluster's rate there grows with its size; here the more there are of a kind, the
/// nearer is the next one. Clusters there are found by k-means. Who takes over gets the weights by
/// compensation, which is exact where two filters compute the same up to scale.
///
/// - Source: Qin et al. 2018, arXiv:1810.07322.
package protocol FunctionalCriterion: Criterion {
  static var similarity: FunctionSimilarity { get }
}

extension FunctionalCriterion {
  package static var evidence: Set<Evidence> {
    [.factors, .gradients(.model), .functions(similarity)]
  }
  package static var scoresWeights: Bool { false }
  package static var compensates: Bool { true }

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    if model.functions?.dead.contains(unit.index) ?? false { return 0 }
    let contribution = GateLoss().score(of: unit, in: model)
    guard let successor = model.successor(of: unit.index) else { return aloneFactor * contribution }
    return contribution * max(leastDistance, successor.distance)
  }
}

/// Units that are alone go after all others.
private let aloneFactor = 1e6
/// Of two that do exactly the same, the one goes first that contributes less.
private let leastDistance = 1e-6

/// Filters do the same that answer alike: all filters of a layer to the images that they answer most to.
package struct Functionality: FunctionalCriterion {
  package static let name = "functionality"
  package static let summary =
    "what filters respond to: of those that answer alike, others take over (no training needed)"
  package static let similarity = FunctionSimilarity.answers

  package init() {}
}
