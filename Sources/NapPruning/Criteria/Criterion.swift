package import NapKernels

/// What removing a unit or a weight costs, in the eyes of one theory.
package protocol Criterion: Sendable {
  /// The name after `--criterion`, and in the report.
  static var name: String { get }
  /// One sentence for `--help`.
  static var summary: String { get }
  /// Whether Kronecker factors must be collected before scoring.
  static var needsCurvature: Bool { get }
  /// Whether the remaining weights make up for what is removed.
  static var compensates: Bool { get }

  init()

  /// The score of a unit in the network as it is now; comparable between layers, smaller goes first.
  func score(of unit: PruningUnit, in model: PruningModel) -> Double

  /// The scores of a layer's single weights, `[out, in]` by group; comparable between layers.
  func weightScores(in layer: LayerModel) -> [Matrix]
}

/// Every criterion: a new one is a file of its own and a line here.
package let allCriteria: [any Criterion.Type] = [
  BlockLoss.self,
  SummedLoss.self,
  Magnitude.self,
]
