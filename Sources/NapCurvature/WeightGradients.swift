import Foundation
import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
package import NapTensor

/// Moments over examples of how the loss changes with the weights of one affine layer.
///
/// - Shapes: `[out, in]` by group, without biases; `gates [examples, in]`.
package struct WeightGradients: Sendable {
  /// `E_n[∂L_n/∂W]`.
  package var means: [Matrix]
  /// `E_n[(∂L_n/∂W)²]`.
  package var squares: [Matrix]
  /// `Σ_o W_oj ∂L_n/∂W_oj`: how every example's loss changes with a factor on each input; empty for
  /// layers with groups.
  package var gates: Matrix
}

/// Collects `WeightGradients` of all affine nodes of a network, batch by batch.
package final class GradientCollector {
  private let pass: CurvaturePass
  private var sums: [Int: GradientSums] = [:]

  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, kind: CurvatureKind, outputs: Outputs? = nil, batch: Int, seed: Seed
  ) throws {
    let plan = try Plan(graph, mode: .curvature, batch: batch, tapsAreDense: true)
    pass = CurvaturePass(plan, kind: kind, outputs: outputs, seed: seed)
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    for layer in graph.affineLayers(shapes: shapes) {
      sums[layer.index] = GradientSums(
        layer.op, layer.shape, inputShape: shapes[layer.node.inputs[0].index],
        weights: layer.op.matrices(ofWeight: layer.weight).floats)
    }
    plan.tap = { [unowned self] tap in self.sums[tap.node]?.add(tap) }
  }

  /// Adds a batch of examples, see `CurvatureEstimator.add`.
  package func add(
    _ inputs: UnsafePointer<Float>, labels: [Int] = [], weights: [Double] = []
  ) {
    pass.run(inputs, labels: labels, weights: weights)
  }

  /// Hands over the gradients, by node index; the collector is spent then.
  package func takeGradients() -> [Int: WeightGradients] {
    defer { sums = [:] }
    return sums.mapValues(\.gradients)
  }
}

/// Sums over examples for one affine node.
private final class GradientSums {
  private let op: any AffineOperator
  private let shape: AffineShape
  private let inputShape: [Int]
  /// `[groups, out, in]`.
  private let weights: [Float]
  private var sums: [Double]
  private var squares: [Double]
  private var gates: [Double] = []
  private var examples = 0

  init(_ op: any AffineOperator, _ shape: AffineShape, inputShape: [Int], weights: [Float]) {
    self.op = op
    self.shape = shape
    self.inputShape = inputShape
    self.weights = weights
    sums = [Double](repeating: 0, count: weights.count)
    squares = sums
  }

  private var matrixSize: Int { shape.outputs * shape.inputs }

  /// Adds a batch.
  func add(_ tap: CurvatureTap) {
    let patches = AlignedBuffer(bytes: 4 * max(1, shape.inputs * shape.positions))
    let gradient = AlignedBuffer(bytes: 4 * max(1, matrixSize))
    for n in 0..<inputShape[0] {
      for group in 0..<shape.groups {
        op.writePatches(
          of: tap.input, shape: inputShape, examples: n..<n + 1, group: group, grid: .all,
          into: patches.floats)
        let slopes =
          tap.outputGradient + (n * shape.groups + group) * shape.outputs * shape.positions
        multiply(
          slopes, transposingA: op.patchesArePositionMajor, patches.floats,
          transposingB: !op.patchesArePositionMajor, into: gradient.floats, m: shape.outputs,
          n: shape.inputs, k: shape.positions)
        add(gradient.floats, group)
      }
    }
    examples += inputShape[0]
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
    if shape.groups == 1 { gates += gate }
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
    return WeightGradients(
      means: mean(sums), squares: mean(squares),
      gates: Matrix(rows: shape.groups == 1 ? examples : 0, columns: shape.inputs, elements: gates))
  }
}
