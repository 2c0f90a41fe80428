import NapData
import NapEngine
import NapGraph
import NapTensor
import NapTraining

/// One set of weights for all widths, trained under many of them: narrower networks are the first units of wider
/// ones.
///
/// Of every four steps one is of the whole network, one of the smallest, and two of random widths; all imitate the
/// original, which is what the whole one is at first.
///
/// - Source: Yu & Huang 2019 (universally slimmable networks), arXiv:1903.05134.
struct SharedWeights: WeightProvider {
  /// With the weights that have been trained.
  let graph: Graph
  let order: UnitOrder

  func network(_ widths: [Int]) throws -> Graph { try graph.removing(order.gone(at: widths)) }

  /// Trains them.
  ///
  /// - Parameters:
  ///   - full: all widths of the network.
  ///   - least: the smallest widths there are.
  init(_ graph: Graph, order: UnitOrder, full: [Int], least: [Int], session: PruningSession) throws
  {
    self.order = order
    var recipe = session.recipe(.epochs(Self.epochs))
    recipe.blending = 0
    self.graph = try session.journal.step("training shared weights", saving: TrainingRun.State.self)
    {
      loop in
      let run = try TrainingRun(
        graph, data: session.trainable, preset: session.preset, recipe: recipe,
        teacher: session.teacher, outputs: session.outputs)
      if let restored = loop.restored { run.restore(restored) }
      let mask = WidthMask(graph, run.parameters)
      let smallest = zip(full, least).map { max($1, Int(Self.leastShare * Double($0))) }
      while true {
        mask.apply(
          order.gone(
            at: Self.widths(run.step, run.stepsPerEpoch, full, smallest, session.seed)))
        let report = try run.next()
        mask.lift()
        guard let report else { break }
        try loop.end(run.state) {
          try session.progress(WorkProgress(report, of: run, stage: "training shared weights"))
        }
      }
      return run.parameters.graph
    }
  }

  /// An epoch's last step is of the whole network: training that gets out of hand goes back to it.
  private static func widths(
    _ step: Int, _ stepsPerEpoch: Int, _ full: [Int], _ smallest: [Int], _ seed: Seed
  ) -> [Int] {
    switch (step + 1) % stepsPerEpoch == 0 ? 0 : step % 4 {
    case 0: return full
    case 1: return smallest
    default:
      var random = seed.derived("shared widths").derived(step).generator()
      return zip(smallest, full).map { $0 + Int(Float($1 - $0 + 1) * random.uniform()) }
        .enumerated().map { min($1, full[$0]) }
    }
  }

  private static let epochs = 6
  /// Of a set, in training.
  private static let leastShare = 0.25
}
