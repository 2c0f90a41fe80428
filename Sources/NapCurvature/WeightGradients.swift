import Foundation
import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
package import NapTensor

/// Moments over examples of how the loss changes with the weights of one affine layer, by all nodes that
/// read them together.
///
/// - Shapes: `[out, in]` by group, without biases; `gates [examples, groups · in]`.
package struct WeightGradients: Sendable {
  /// `E_n[∂L_n/∂W]`.
  package var means: [Matrix]
  /// `E_n[(∂L_n/∂W)²]`.
  package var squares: [Matrix]
  /// `Σ_o W_oj ∂L_n/∂W_oj`: how every example's loss changes with a factor on each input.
  package var gates: Matrix

  package var isFinite: Bool {
    (means + squares + [gates]).allSatisfy { $0.elements.allSatisfy(\.isFinite) }
  }
}

/// Collects `WeightGradients` of all affine layers of a network, batch by batch.
package final class GradientCollector: ExampleCollector {
  private let pass: CurvaturePass
  private var sums: [Int: GradientSums] = [:]
  /// By node that reads a layer's weight.
  private var layerOfNode: [Int: Int] = [:]

  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, kind: CurvatureKind, outputs: Outputs? = nil, batch: Int, seed: Seed
  ) throws {
    let plan = try Plan(graph, mode: .curvature, batch: batch, tapsAreDense: true)
    pass = try CurvaturePass(plan, kind: kind, outputs: outputs, seed: seed)
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    for layer in graph.affineLayers(shapes: shapes) {
      sums[layer.index] = GradientSums(layer)
      for reader in layer.readers { layerOfNode[reader.index] = layer.index }
    }
    plan.tap = { [unowned self] tap in
      if let layer = self.layerOfNode[tap.node] { self.sums[layer]?.add(tap) }
    }
  }

  /// Adds a batch of examples, see `CurvatureEstimator.add`.
  package func add(
    _ inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>] = [], weights: [Double]
  ) {
    pass.run(inputs, targets: targets, weights: weights)
    for sums in sums.values { sums.finishBatch() }
  }

  /// Hands over the gradients, by the first node of every layer; the collector is spent then.
  package func takeGradients() -> [Int: WeightGradients] {
    defer { sums = [:] }
    return sums.mapValues(\.gradients)
  }
}

/// Sums over examples for one affine layer.
private final class GradientSums {
  private let readers: [AffineLayer.Reader]
  private let shape: AffineShape
  /// `[groups, out, in]`.
  private let weights: [Float]
  private var sums: [Double]
  private var squares: [Double]
  private var gates: [Double] = []
  private var examples = 0
  /// `∂L_n/∂W` of every example of the batch, by the readers that have been heard; empty where there is
  /// but one, which need not wait.
  private var waiting: [Float] = []

  init(_ layer: AffineLayer) {
    readers = layer.readers
    shape = layer.shape
    weights = layer.op.matrices(ofWeight: layer.weight).floats
    sums = [Double](repeating: 0, count: weights.count)
    squares = sums
  }

  private var matrixSize: Int { shape.outputs * shape.inputs }

  /// Adds what one reader sees of a batch.
  func add(_ tap: CurvatureTap) {
    guard let reader = readers.first(where: { $0.index == tap.node }) else { return }
    let (op, positions) = (reader.op, reader.shape.positions)
    let patches = AlignedBuffer(bytes: 4 * max(1, shape.inputs * positions))
    let gradient = AlignedBuffer(bytes: 4 * max(1, matrixSize))
    let batch = reader.inputShape[0]
    if readers.count > 1, waiting.isEmpty {
      waiting = [Float](repeating: 0, count: batch * weights.count)
    }
    for n in 0..<batch {
      for group in 0..<shape.groups {
        op.writePatches(
          of: tap.input, shape: reader.inputShape, examples: n..<n + 1, group: group, grid: .all,
          into: patches.floats)
        let slopes = tap.outputGradient + (n * shape.groups + group) * shape.outputs * positions
        multiply(
          slopes, transposingA: op.patchesArePositionMajor, patches.floats,
          transposingB: !op.patchesArePositionMajor, into: gradient.floats, m: shape.outputs,
          n: shape.inputs, k: positions)
        if readers.count > 1 {
          let first = n * weights.count + group * matrixSize
          for k in 0..<matrixSize { waiting[first + k] += gradient.floats[k] }
        } else {
          add(gradient.floats, group)
        }
      }
    }
  }

  /// Counts the batch, once all readers have been heard: what is squared is the sum of their slopes.
  func finishBatch() {
    examples += readers[0].inputShape[0]
    guard !waiting.isEmpty else { return }
    waiting.withUnsafeBufferPointer { waiting in
      guard let base = waiting.baseAddress else { return }
      for part in 0..<waiting.count / matrixSize {
        add(base + part * matrixSize, part % shape.groups)
      }
    }
    waiting = []
  }

  private func add(_ gradient: UnsafePointer<Float>, _ group: Int) {
    let (first, width) = (group * matrixSize, shape.inputs)
    var gate = [Double](repeating: 0, count: width)
    sums.withUnsafeMutableBufferPointer { sums in
      squares.withUnsafeMutableBufferPointer { squares in
        weights.withUnsafeBufferPointer { weights in
          for i in 0..<shape.outputs {
            for j in 0..<width {
              let slope = Double(gradient[i * width + j])
              let k = first + i * width + j
              sums[k] += slope
              squares[k] += slope * slope
              gate[j] += slope * Double(weights[k])
            }
          }
        }
      }
    }
    gates += gate
  }

  var gradients: WeightGradients {
    func mean(_ sums: [Double]) -> [Matrix] {
      (0..<shape.groups).map { group in
        Matrix(
          rows: shape.outputs, columns: shape.inputs,
          elements: sums[group * matrixSize..<(group + 1) * matrixSize]
            .map { $0 / Double(max(1, examples)) })
      }
    }
    let width = shape.groups * shape.inputs
    return WeightGradients(
      means: mean(sums), squares: mean(squares),
      // Where no gradient comes, there are none.
      gates: Matrix(rows: gates.count / max(1, width), columns: width, elements: gates))
  }
}
