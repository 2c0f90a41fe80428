import NapEngine
import NapGraph
import NapKernels
import NapOutputs
import NapTensor

/// Which gradients the curvature is the second moment of.
package enum CurvatureKind: Sendable, Hashable {
  /// Of a random direction with the covariance of the model's own predictions: no labels needed.
  case model
  /// Of the given targets, the empirical Fisher; of the likeliest class where there are none.
  case labels

  /// The temperature that predictions are taken at.
  ///
  /// At 1, the few images that a network is unsure of decide alone. ResNet-56 at half of its MACs, one
  /// shot: 86.5 % instead of 85.3 %.
  package static let temperature: Float = 2
}

/// What is back-propagated to learn how the loss changes: the gradient of every example's own loss by
/// the outputs.
struct Cotangents {
  let kind: CurvatureKind
  let outputs: Outputs
  private var signs: SplitMix64

  init(kind: CurvatureKind, outputs: Outputs, seed: Seed) {
    self.kind = kind
    self.outputs = outputs
    signs = seed.derived("curvature").generator()
  }

  /// The gradient of every example's own loss, not divided by the batch size.
  ///
  /// - Parameter weights: what the examples count; 1 where empty. As gradients are squared, they are
  ///   multiplied by the root.
  mutating func write(
    into plan: Plan, targets: [UnsafePointer<Float>], weights: [Double]
  ) {
    if kind == .labels, !targets.isEmpty, outputs.areLearned {
      outputs.writeTargetGradients(
        of: plan.outputs, learning: targets, into: plan.outputGradients,
        count: plan.outputShapes.first?.first ?? 0, weights: weights)
    } else if kind == .labels, outputs.isClassifier {
      writeLikeliestCotangents(
        plan.outputs[0], plan.outputGradients[0], plan.outputShapes[0], weights)
    } else {
      outputs.writeCotangents(
        of: plan.outputs, into: plan.outputGradients, count: plan.outputShapes.first?.first ?? 0,
        temperature: CurvatureKind.temperature, weights: weights, signs: &signs)
    }
  }

  private func writeLikeliestCotangents(
    _ logits: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, _ shape: [Int],
    _ weights: [Double]
  ) {
    let classes = shape[1]
    var p = [Float](repeating: 0, count: classes)
    for n in 0..<shape[0] {
      let (z, g) = (logits + n * classes, gradient + n * classes)
      softmax(z, classes, temperature: 1, into: &p)
      let label = argmax(z, classes)
      let factor = Float((weights.isEmpty ? 1 : weights[n]).squareRoot())
      for k in 0..<classes { g[k] = factor * (p[k] - (label == k ? 1 : 0)) }
    }
  }
}

/// Collects something from the passes of batches of examples through a network.
package protocol ExampleCollector {
  /// Adds a batch of examples.
  ///
  /// - Parameters:
  ///   - inputs: dense, `[batch, …]` each, one for every input.
  ///   - targets: likewise, in the order of the data set; used by `.labels` only.
  ///   - weights: what the gradients of the examples count, where they were not drawn evenly; 1 where empty.
  func add(
    _ inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>], weights: [Double])
}

extension ExampleCollector {
  /// Adds a batch of examples of a network with one input.
  ///
  /// - Parameter labels: a class each.
  package func add(
    _ input: UnsafePointer<Float>, labels: [Int] = [], weights: [Double] = []
  ) {
    labels.map(Float.init).withUnsafeBufferPointer { labels in
      let targets = labels.isEmpty ? [] : [labels.baseAddress].compactMap { $0 }
      add([input], targets: targets, weights: weights)
    }
  }
}

/// Sends batches forward and their cotangents back, for whoever listens to the taps of the plan.
final class CurvaturePass {
  let plan: Plan
  private var cotangents: Cotangents

  /// - Parameter outputs: guessed from their shapes where it is `nil`.
  /// - Throws: `GraphError` when the numbers of an output cannot be told apart by example.
  init(_ plan: Plan, kind: CurvatureKind, outputs: Outputs?, seed: Seed) throws {
    try plan.graph.checkExamples()
    self.plan = plan
    cotangents = Cotangents(
      kind: kind, outputs: outputs ?? Outputs(guessing: plan.outputShapes), seed: seed)
  }

  func run(
    _ inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>], weights: [Double]
  ) {
    plan.setInputs(inputs, count: plan.batch)
    plan.forward()
    cotangents.write(into: plan, targets: targets, weights: weights)
    // One thread per group of examples is faster than many threads per small product.
    let threads = setLinearAlgebraThreads(1)
    plan.backward()
    setLinearAlgebraThreads(threads)
  }
}
