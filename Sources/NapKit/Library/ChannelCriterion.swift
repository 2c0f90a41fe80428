import NapCurvature
import NapGraph
import NapKernels
import NapPruning
import NapTensor

/// What a program thinks that removing a channel costs: `Pruning.criterion(_:)` takes it.
public protocol ChannelCriterion: Sendable {
  /// What reports call it.
  static var name: String { get }
  /// Whether the remaining weights make up for what is removed, by the curvature; more accurate, and slower.
  static var compensates: Bool { get }
  /// Whether it looks at `Channel.lossSlopes`, which take a pass over some images.
  static var usesLossSlopes: Bool { get }

  init()

  /// How much the network would miss a channel, as it is now; comparable between layers, smaller goes first.
  func score(of channel: Channel) -> Double
}

extension ChannelCriterion {
  public static var compensates: Bool { false }
  public static var usesLossSlopes: Bool { false }
}

/// A channel, or several that stand and fall together, such as those of a residual stream.
public struct Channel {
  private let unit: PruningUnit
  private let model: PruningModel

  fileprivate init(_ unit: PruningUnit, _ model: PruningModel) {
    (self.unit, self.model) = (unit, model)
  }

  /// Names of the layers that compute it.
  public var computingLayers: [String] {
    model.computings(of: unit).map { model.graph.nodes[$0.layer.node].name }
  }

  /// Names of the layers that read it.
  public var readingLayers: [String] {
    model.readings(of: unit).map { model.graph.nodes[$0.layer.node].name }
  }

  /// The weights that compute it, one row for each layer and output; the bias is the last.
  public var incomingWeights: [[Double]] {
    model.computings(of: unit).flatMap { layer, rows in
      rows.map { group, row in
        let weights = layer.weights[group]
        return (0..<weights.columns).map { weights[row, $0] }
      }
    }
  }

  /// The weights that it is read with, one column for each layer and input.
  public var outgoingWeights: [[Double]] {
    model.readings(of: unit).flatMap { layer, group, columns in
      let weights = layer.weights[group]
      return columns.map { column in (0..<weights.rows).map { weights[$0, column] } }
    }
  }

  /// How the loss changes with a factor on the channel, in nats, for each of some training examples: `Σ x ∂L/∂x`, with `x`
  /// what its readers see. `L` is that of a class which the network itself draws, so that no labels are needed: the
  /// mean is about 0, and half of the mean square is what closing the channel costs. Empty where
  /// `ChannelCriterion.usesLossSlopes` is false.
  ///
  /// - Source: Molchanov et al. 2019, arXiv:1906.10771.
  public var lossSlopes: [Double] { model.gates(of: unit) }
}

/// A program's criterion, as the ranking takes it.
struct AdaptedCriterion<Base: ChannelCriterion>: Criterion {
  static var name: String { Base.name }
  static var summary: String { "a criterion of the program's own" }
  static var scoresWeights: Bool { false }
  static var compensates: Bool { Base.compensates }
  static var evidence: Set<Evidence> {
    Set((Base.compensates ? [.factors] : []) + (Base.usesLossSlopes ? [.gradients(.model)] : []))
  }

  private let base = Base()

  func score(of unit: PruningUnit, in model: PruningModel) -> Double {
    base.score(of: Channel(unit, model))
  }
}

extension Pruning {
  /// Scores channels by a criterion of the program's own.
  public mutating func setCriterion<Own: ChannelCriterion>(_ type: Own.Type) {
    ownCriterion = AdaptedCriterion<Own>.self
    criterion = Own.name
  }
}
