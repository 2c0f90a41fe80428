package import NapCurvature
import NapGraph
package import NapKernels

/// What must be known of a network before a criterion can score it.
package enum Evidence: Sendable, Hashable {
  /// Kronecker factors of the curvature.
  case factors
  /// Gradients of the weights, by example.
  case gradients(CurvatureKind)
  /// What removing each unit, compensated for, does to the loss of every example; needs factors.
  case removals
  /// How alike filters are in what they respond to; needs factors, which tell who never fires.
  case functions(FunctionSimilarity)
}

/// What removing a unit or a weight costs, in the eyes of one theory.
package protocol Criterion: Sendable {
  /// The name after `--criterion`, and in the report.
  static var name: String { get }
  /// One sentence for `--help`.
  static var summary: String { get }
  /// What must be collected before scoring; gradients of one kind at most.
  static var evidence: Set<Evidence> { get }
  /// Whether single weights have a score; whole channels always have.
  static var scoresWeights: Bool { get }
  /// Whether the remaining weights make up for what is removed.
  static var compensates: Bool { get }
  /// Whether scores are calibrated losses, in nats per example.
  static var isLoss: Bool { get }

  init()

  /// The score of a unit in the network as it is now; comparable between layers, smaller goes first.
  func score(of unit: PruningUnit, in model: PruningModel) -> Double

  /// The scores of a layer's single weights, `[out, in]` by group; comparable between layers.
  func weightScores(in layer: LayerModel) -> [Matrix]
}

extension Criterion {
  package static var scoresWeights: Bool { true }
  package static var compensates: Bool { false }
  package static var isLoss: Bool { false }
  package static var evidence: Set<Evidence> { [] }
  package func weightScores(in layer: LayerModel) -> [Matrix] { layer.weights }
}

/// A criterion that scores single weights, and units by the sum over their weights.
package protocol WeightwiseCriterion: Criterion {
  /// The score of the weight in some row and column of a layer's matrix, as the layer is now.
  func score(in layer: LayerModel, group: Int) -> (_ row: Int, _ column: Int) -> Double
}

extension WeightwiseCriterion {
  package func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    model.sum(over: unit) { score(in: $0, group: $1) }
  }

  package func weightScores(in layer: LayerModel) -> [Matrix] {
    (0..<layer.shape.groups).map { group in
      let score = score(in: layer, group: group)
      var result = Matrix(rows: layer.shape.outputs, columns: layer.shape.inputs)
      for i in 0..<result.rows { for j in 0..<result.columns { result[i, j] = score(i, j) } }
      return result
    }
  }
}

/// Every criterion: a new one is a file of its own and a line here.
package let allCriteria: [any Criterion.Type] = [
  BlockLoss.self,
  LayerCalibratedBlockLoss.self,
  UncalibratedBlockLoss.self,
  SummedLoss.self,
  GateLoss.self,
  JointGateLoss.self,
  Functionality.self,
  FunctionalityPixels.self,
  FunctionalityCorrelation.self,
  KroneckerDamage.self,
  DiagonalDamage.self,
  Taylor.self,
  Sensitivity.self,
  Wanda.self,
  NormalizationScale.self,
  GeometricMedian.self,
  Magnitude.self,
  AbsoluteMagnitude.self,
  Random.self,
]
