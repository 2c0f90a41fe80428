import NapData
import NapEngine
import NapGraph
import NapSearch
import NapTensor
import NapTraining

/// Weights that a network generates for any widths, trained from nothing under random ones.
///
/// As published, but for normalizations: their scales are trained, one for all widths, and their statistics are always
/// estimated anew. What is not a convolution is trained as it is.
struct GeneratedWeights: WeightProvider {
  /// With what is not generated.
  private let graph: Graph
  private let generator: WeightGenerator
  private let order: UnitOrder

  func network(_ widths: [Int]) throws -> Graph {
    let parameters = Parameters(graph)
    generator.generate(widths, into: parameters)
    return try parameters.graph.removing(order.gone(at: widths))
  }

  /// Between two steps.
  private struct State: Codable {
    var run: TrainingRun.State
    var generator: WeightGenerator.State
  }

  /// What has been trained.
  private struct Trained: Codable {
    var graph: Graph
    var generator: WeightGenerator.State
  }

  /// Trains them.
  init(_ graph: Graph, order: UnitOrder, space: WidthSpace, session: PruningSession) throws {
    let generator = try WeightGenerator(for: graph, space, seed: session.seed)
    let stage = "training the generating network"
    let trained = try session.journal.step(stage, saving: State.self) { loop in
      let run = try TrainingRun(
        Self.unscaled(graph), data: session.trainable, preset: session.preset,
        recipe: Self.recipe(session), teacher: session.trainable.isLabelled ? nil : session.teacher,
        outputs: session.outputs)
      if let restored = loop.restored {
        run.restore(restored.run)
        generator.state = restored.generator
      }
      let mask = WidthMask(graph, run.parameters)
      while true {
        let widths = Self.widths(run.step, space.full, session.seed)
        generator.generate(widths, into: run.parameters)
        mask.apply(order.gone(at: widths))
        let report = try run.next()
        mask.lift()
        guard let report else { break }
        guard
          generator.step(run.plan.parameterGradients, learningRate: report.learningRate)
        else {
          throw TrainingError.diverged(step: report.step, learningRate: report.learningRate)
        }
        try loop.end(State(run: run.state, generator: generator.state)) {
          try session.progress(WorkProgress(report, of: run, stage: stage))
        }
      }
      return Trained(graph: run.parameters.graph, generator: generator.state)
    }
    generator.state = trained.generator
    (self.graph, self.generator, self.order) = (trained.graph, generator, order)
  }

  /// The scales and biases of the trained network mean nothing to other weights.
  private static func unscaled(_ graph: Graph) -> Graph {
    var result = graph
    for (value, role) in graph.parameterRoles where role == .scale || role == .bias {
      guard let tensor = graph.constants[value], tensor.isFloat else { continue }
      result.constants[value] = Tensor(shape: tensor.shape, repeating: role == .scale ? 1 : 0)
    }
    return result
  }

  /// As published for steps and loss; a rate for small batches.
  private static func recipe(_ session: PruningSession) -> TrainingRecipe {
    var recipe = session.recipe(.epochs(epochs))
    recipe.blending = 0
    recipe.learningRate = 0.1
    recipe.warmupEpochs = 1
    recipe.optimizer.weightDecay = 0
    if session.trainable.isLabelled { recipe.loss = Objective(labelSmoothing: 0.1) }
    return recipe
  }

  private static func widths(_ step: Int, _ full: [Int], _ seed: Seed) -> [Int] {
    var random = seed.derived("generated widths").derived(step).generator()
    return full.map { max(1, Int((Float($0) * (0.1 + 0.9 * random.uniform())).rounded())) }
  }

  private static let epochs = 12
}
