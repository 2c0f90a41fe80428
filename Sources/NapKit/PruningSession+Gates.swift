import Foundation
import NapData
import NapDynamic
import NapEngine
import NapGraph
import NapOperators
import NapOutputs
import NapPruning
import NapReport
import NapTensor
import NapTraining

// MARK: Dynamic pruning
extension PruningSession {
  /// Examples decide what is computed, and cost a share of the multiply-accumulates, or of the time, in the mean.
  func pruneDynamically(_ dynamic: Pruning.Dynamic, _ cost: Cost, keeping share: Double) throws
    -> PruningOutcome
  {
    guard !Network(original).isDynamic else {
      throw UsageError(
        "the network is dynamic already", recovery: "prune the one that it was made of")
    }
    let answer = outputs.distribution
    if let answer, dynamic.gates != .channels {
      return try pruneToCascade(answer.distribution, axis: answer.axis, cost, keeping: share)
    }
    guard dynamic.gates != .network else {
      throw UsageError(
        "when to ask a larger network is decided by how sure a small network is of its classes, and this one has not a single output that tells any",
        recovery: "give --gates channels")
    }
    guard cost == .macs else {
      throw UsageError(
        "gates of channels are priced by multiply-accumulates, not by time",
        recovery: "give --macs instead of --latency")
    }
    return try pruneWithGates(GateStyle(block: dynamic.block), keeping: share)
  }

  /// Channels that nobody needs go for good; of the others, gates learn which each example needs, until
  /// examples cost a share of the multiply-accumulates in the mean.
  private func pruneWithGates(_ style: GateStyle, keeping share: Double) throws -> PruningOutcome {
    guard !settings.isOneShot else {
      throw UsageError(
        "gates begin with knowing nothing", recovery: "leave --epochs 0 out, or --gates channels")
    }
    let whole = Double(try CostModel(original).macs)
    let recipe = recipe(length(epochs: Self.defaultEpochs))
    let staying = settings.staticShare ?? Self.staticShare(share)
    var outcome = PruningOutcome(state: State(graph: original))
    var forecast: Forecast?
    if staying < 1 {
      (outcome, forecast) = try narrowed(.macs, keeping: staying, training: recipe)
    }
    let gated = try outcome.state.graph.addingGates(style, seed: seed.derived("gates"))
    let cost = try GatedCost(gated)
    guard !cost.gates.isEmpty else {
      throw UsageError(
        "the network has no convolution that a gate could decide about",
        recovery: "leave --dynamic out")
    }
    guard cost.least <= share * whole else {
      throw UsageError(
        String(
          format: "keeping %g of the macs is impossible: with every gate closed, %.4f are needed",
          share, cost.least / whole),
        recovery: "ask for less")
    }
    guard cost.most > share * whole else {
      throw UsageError(
        String(
          format: "without any gate closed, %.4f of the macs are left: there is nothing to decide",
          cost.most / whole),
        recovery: "ask for less, or give a larger --static-macs")
    }
    try progress(
      WorkProgress(
        stage: "gates",
        message: String(
          format:
            "%d gates of %d units; %.1f %% of the original's MACs with all open, %.1f %% closed",
          cost.gates.count, cost.gates.reduce(0) { $0 + $1.unitCount }, 100 * cost.most / whole,
          100 * cost.least / whole)))
    let trained = try foretelling(forecast).trainGates(
      of: gated, cost, downTo: share * whole,
      recipe: budget == nil ? recipe : self.recipe(length(epochs: Self.defaultEpochs)))
    var result = try fitted(trained, to: share * whole)
    let curve = try thresholds(of: result, around: share * whole)
    let threshold = result.gateThreshold
    outcome.meanMACs = curve.first { $0.threshold == threshold }.map { $0.macs / whole }
    result.noteGates(
      whole: whole, curve: curve.map { ($0.threshold, $0.macs) },
      statistics: curve.map(\.statistics))
    outcome.state.graph = result
    // Leaving out gives what multiplying by 0 gives.
    outcome.state.isVerified =
      try outcome.state.isVerified && agrees(result, result, rewritingSecond: false)
    return outcome
  }

  /// What held-out examples cost in the mean with several thresholds, the lowest first.
  private func thresholds(of graph: Graph, around macs: Double) throws -> [TriedThreshold] {
    try journal.step("trying thresholds") {
      let seen = try saliencies(of: graph, on: validation)
      let wanted = Self.budgets.map { $0 * macs }
      let own = graph.gateThreshold
      let tried = Set(wanted.map { seen.threshold(for: $0) } + [own]).sorted()
      return try tried.enumerated().map { index, threshold in
        let other =
          threshold == own
          ? graph
          : try withFreshStatistics(graph.settingGates(threshold: threshold), stage: nil)
        try progress(
          WorkProgress(stage: "trying thresholds", step: index + 1, steps: tried.count))
        return TriedThreshold(
          threshold: threshold,
          macs: try saliencies(of: other, on: validation).meanMACs(threshold: threshold),
          statistics: GateStatistics.read(other))
      }
    }
  }

  private struct TriedThreshold: Codable {
    var threshold: Float
    var macs: Double
    var statistics: [Float]
  }

  /// Shares of the budget for which thresholds are tried, too.
  private static let budgets = [0.6, 0.7, 0.85, 1.15, 1.3, 1.5]

  /// What is left of the multiply-accumulates before gates come.
  ///
  /// Gates can close next to nothing that all images need.
  private static func staticShare(_ share: Double) -> Double { pow(share, 0.75) }

  /// A network with gates that have learned to decide.
  private func trainGates(
    of gated: Graph, _ cost: GatedCost, downTo target: Double, recipe: TrainingRecipe
  ) throws -> Graph {
    let (drawing, draw) = try gated.drawingDecisions(seed: seed.derived("decisions"))
    let weight = settings.gateSimilarity
    let similarity = weight > 0 ? GateSimilarity(weight: weight) : nil
    let shown = try drawing.showingSaliencies(withMeans: similarity != nil)
    func finished(_ run: TrainingRun, _ loss: GatePrices) throws -> Graph {
      try run.parameters.graph.hidingSaliencies(of: gated).settingGates(threshold: 0)
    }
    return try journal.step("training gates", saving: TrainingRun.State.self) { loop in
      let loss = GatePrices(cost, target: target, similarity: similarity)
      let run = try TrainingRun(
        shown, data: trainable, preset: preset, recipe: recipe, teacher: teacher,
        outputs: outputs, sideLoss: loss)
      if let restored = loop.restored {
        run.restore(restored)
      } else {
        try announce(run, stage: Self.tuning)
      }
      try WorkStopped.keeping({ Network((try? finished(run, loss)) ?? gated) }) {
        while true {
          let (number, noise) = loss.draw
          run.parameters.pointer(draw)[0] = number
          run.parameters.pointer(draw)[1] = noise
          guard let report = try step(run) else { break }
          try loop.end(run.state) {
            var event = WorkProgress(report, of: run, stage: Self.tuning)
            if report.endsEpoch {
              event.message = String(
                format: "epoch %d: %.1f %% of the MACs with everything open, at a price of %.3f",
                report.epoch + 1, 100 * loss.macs / cost.most, loss.price)
            }
            try progress(event)
          }
        }
      }
      return try finished(run, loss)
    }
  }

  /// A network whose gates have the threshold with which held-out examples cost what is wanted; those that all
  /// examples need are gone.
  ///
  /// Another threshold changes what later gates see, so it is looked for by turns: where what is foretold lies
  /// outside of what is known, halfway.
  func fitted(_ graph: Graph, to macs: Double) throws -> Graph {
    try journal.step("fitting thresholds") {
      var threshold = graph.gateThreshold
      var (low, high) = (-Float.infinity, Float.infinity)
      var best: (graph: Graph, areIdle: [Bool], distance: Double) = (graph, [], .infinity)
      for turn in 1...Self.fittingTurns {
        // Of images as training varies them: those of clean ones cost a ResNet-20 two points.
        let candidate = try withFreshStatistics(
          graph.settingGates(threshold: threshold), stage: nil)
        let seen = try saliencies(of: candidate, on: validation)
        let mean = seen.meanMACs(threshold: threshold)
        if abs(mean - macs) < best.distance {
          best = (candidate, seen.areIdle, abs(mean - macs))
        }
        try progress(
          WorkProgress(
            stage: "fitting thresholds", step: turn, steps: Self.fittingTurns,
            message: String(
              format: "threshold %.6f: %.2f %% of the MACs that are wanted", threshold,
              100 * mean / macs)))
        if best.distance <= 0.001 * macs { break }
        if mean > macs { low = max(low, threshold) } else { high = min(high, threshold) }
        let foretold = seen.threshold(for: macs)
        if low < foretold, foretold < high {
          threshold = foretold
        } else if low.isFinite, high.isFinite {
          threshold = 0.5 * (low + high)
        } else {
          threshold += mean > macs ? 0.1 : -0.1
        }
      }
      return try best.graph.removingGates(best.areIdle)
    }
  }

  private static let fittingTurns = 12

  /// What all gates of a network say of a data set.
  func saliencies(of graph: Graph, on data: any Dataset) throws -> Saliencies {
    var shown = try graph.showingSaliencies()
    // What nothing is decided by need not be computed.
    shown.outputs.removeFirst(graph.outputs.count)
    shown = shown.withoutDeadNodes()
    let batch = shown.batchSize(upTo: min(128, max(1, data.count)))
    let plan = try Plan(shown, batch: batch)
    var result = Saliencies(try GatedCost(graph))
    let epoch = Loader(
      dataset: data, preset: preset, batchSize: batch, shuffle: false, augment: false,
      dropLast: false, seed: seed
    ).epoch(0)
    while let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      result.add(plan.outputs[...], count: images.count)
    }
    return result
  }
}
