import Foundation
import NapData
import NapGraph
import NapKernels
import NapPruning
public import NapReport
import NapSearch
import NapTensor
import NapTraining

/// Makes a network smaller: the main job.
public struct Pruning: Sendable {
  public enum Granularity: String, Sendable, CaseIterable {
    case channels
    case weights
  }

  /// What is wanted; exactly one.
  public enum Goal: Sendable, Hashable {
    /// Keep at most this share of the multiply-accumulates.
    case macs(Double)
    /// Keep at most this share of the parameters.
    case parameters(Double)
    /// Set this share of the weights to zero.
    case sparsity(Double)
    /// Remove as much as can go for at most this many percentage points.
    case maxDrop(Double)
  }

  public var source: DataSource
  public var granularity = Granularity.channels
  public var goal = Goal.maxDrop(1)
  /// Epochs of fine-tuning; 0 means one shot; `nil` leaves it to nap.
  public var epochs: Int?
  /// The name of the criterion.
  public var criterion = "nap"
  public var seed: UInt64 = 0
  public var precision = Precision.auto
  /// The share of the curvature's mean eigenvalue that is added to it.
  public var damping = 1e-3
  public var curvatureImages = 1024
  /// The peak learning rate of fine-tuning.
  public var learningRate = 0.02
  /// Rounds in which channels are removed, with the curvature collected anew each time.
  public var rounds: Int?

  public init(source: DataSource) { self.source = source }

  /// Names and summaries of the criteria.
  public static var criteria: [(name: String, summary: String)] {
    allCriteria.map { ($0.name, $0.summary) }
  }

  public func run(_ network: Network, progress: @escaping ProgressHandler = { _ in }) throws
    -> (network: Network, report: PruningReport)
  {
    let clock = ContinuousClock()
    let start = clock.now
    guard let criterion = allCriteria.first(where: { $0.name == criterion }) else {
      throw UsageError(
        "there is no criterion '\(criterion)'",
        recovery: "choose one of \(allCriteria.map { $0.name }.joined(separator: ", "))")
    }
    let seed = Seed(seed)
    let all = try source.open(.train, imageShape: network.imageShape)
    let test = try source.openTest(imageShape: network.imageShape)
    let (rest, heldOut) = all.split(holdingOut: min(all.count / 10, 5000), seed: seed)
    var session = PruningSession(
      preset: source.preset, training: rest, validation: heldOut, scalar: precision.scalar, seed: seed,
      criterion: criterion, progress: progress)
    session.damping = damping
    session.curvatureImages = curvatureImages
    let original = network.graph
    try original.checkClassifier(imageShape: all.imageShape, classes: all.classNames.count)
    let measured = test ?? heldOut
    func accuracy(_ graph: Graph) throws -> Double {
      100 * (try Evaluation.measure(graph, measured, source.preset, .float32, progress: progress)).accuracy
    }
    let before = try accuracy(original)
    try progress(WorkProgress(stage: "baseline", message: "accuracy before: \(before) %"))
    let outcome = try prune(original, session, all)
    let after = try accuracy(outcome.graph)
    let result = Network(outcome.graph)
    let report = PruningReport(
      accuracyBefore: before, accuracyAfter: after, macsBefore: network.macs, macsAfter: result.macs,
      parametersBefore: network.parameters, parametersAfter: result.parameters,
      nonzeroAfter: result.nonzeroParameters, layers: Self.layers(original, outcome.graph),
      curve: outcome.curve, seconds: (clock.now - start) / .seconds(1), verified: outcome.verified,
      criterion: self.criterion, granularity: granularity.rawValue, seed: self.seed)
    return (result, report)
  }

  struct Outcome {
    var graph: Graph
    var verified: Bool
    var curve: [PruningReport.Point] = []
  }

  private func prune(_ graph: Graph, _ session: PruningSession, _ all: any Dataset) throws -> Outcome {
    switch goal {
    case .macs(let share): try pruneChannels(graph, session, all, .macs, share)
    case .parameters(let share): try pruneChannels(graph, session, all, .parameters, share)
    case .sparsity, .maxDrop: throw UsageError("not yet")
    }
  }

  private func pruneChannels(
    _ graph: Graph, _ session: PruningSession, _ all: any Dataset, _ cost: Cost, _ share: Double
  ) throws -> Outcome {
    let whole = try CostModel(graph).value(cost)
    let smallest = UnitSelection.smallest(try PruningModel(graph), cost)
    let target = Int((share * Double(whole)).rounded(.down))
    guard smallest <= target else {
      throw UsageError(
        "keeping \(share) of the \(cost.rawValue) is impossible: with one channel left everywhere, "
          + "\(Double(smallest) / Double(whole)) are needed")
    }
    var outcome = Outcome(graph: graph, verified: true)
    let rounds = rounds ?? 4
    for round in 1...rounds {
      // Each round removes the same share of what is there.
      let level = pow(share, Double(round) / Double(rounds))
      let next = try session.cut(
        outcome.graph, cost: cost, downTo: round == rounds ? target : Int(level * Double(whole)),
        round: round)
      outcome.verified = outcome.verified && next.verified
      outcome.graph = try session.withFreshStatistics(next.graph)
    }
    var recipe = TrainingRecipe()
    recipe.epochs = epochs ?? 30
    recipe.scalar = session.scalar
    recipe.seed = session.seed
    recipe.learningRate = learningRate
    recipe.loss = CrossEntropy(teacherWeight: 0.9, temperature: 4)
    outcome.graph = try session.recovered(outcome.graph, teacher: graph, recipe: recipe, data: all)
    return outcome
  }

  static func layers(_ before: Graph, _ after: Graph) -> [PruningReport.Layer] {
    guard let shapesBefore = try? before.shapes(batch: 1), let shapesAfter = try? after.shapes(batch: 1) else {
      return []
    }
    let macsBefore = before.macsByNode(shapes: shapesBefore)
    let macsAfter = after.macsByNode(shapes: shapesAfter)
    let indexAfter = Dictionary(after.nodes.enumerated().map { ($1.name, $0) }) { first, _ in first }
    return before.nodes.enumerated().compactMap { index, node in
      guard node.op is any AffineOperator, let weight = before.constants[node.inputs[1]],
        let other = indexAfter[node.name], let left = after.constants[after.nodes[other].inputs[1]]
      else { return nil }
      return PruningReport.Layer(
        name: node.name, type: node.op.name, shapeBefore: weight.shape, shapeAfter: left.shape,
        macsBefore: macsBefore[index], macsAfter: macsAfter[other],
        nonzeroAfter: left.floats.reduce(0) { $0 + ($1 == 0 ? 0 : 1) })
    }
  }
}
