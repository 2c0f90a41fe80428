import NapGraph
import NapTensor

/// The mean size of the scales that normalizations give to a unit.
///
/// Units without any are kept for last.
///
/// - Source: Liu et al. 2017 (Network Slimming), arXiv:1708.06519.
package struct NormalizationScale: Criterion {
  package static let name = "bn-scale"
  package static let summary = "size of the channel's normalization scales"
  package static let scoresWeights = false

  package init() {}

  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    var (sum, count) = (0.0, 0)
    for (place, indices) in unit.places where model.roles[place.value] == .scale {
      guard let scale = model.graph.constants[place.value] else { continue }
      for index in indices where index < scale.count {
        sum += Double(abs(scale.floats[index]))
        count += 1
      }
    }
    return count == 0 ? .greatestFiniteMagnitude : sum / Double(count)
  }
}
