import Foundation
import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// Measures, example by example, what given changes of the weights do to the loss, to first order.
///
/// A change takes one input column `j` from a layer and gives its part to the others: `-W_j c_jᵀ`, with
/// `c_j` a row of the layer's directions. Its derivative `-w_jᵀ (∂L_n/∂W) c_j` holds all positions of
/// the example together, whose correlations Kronecker factors leave out; the second moment over
/// examples is the exact Fisher information of the change.
package final class RemovalCollector {
  private let pass: CurvaturePass
  private var layers: [Int: RemovalDerivatives] = [:]

  /// - Parameter directions: `[in, in + 1]` by node.
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(_ graph: Graph, directions: [Int: Matrix], batch: Int, seed: Seed) throws {
    let plan = try Plan(graph, mode: .curvature, batch: batch, tapsAreDense: true)
    pass = CurvaturePass(plan, kind: .model, seed: seed)
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    for layer in graph.affineLayers(shapes: shapes) where layer.shape.groups == 1 {
      guard let direction = directions[layer.index] else { continue }
      layers[layer.index] = RemovalDerivatives(
        layer.op, layer.shape, inputShape: shapes[layer.node.inputs[0].index],
        weights: layer.op.matrices(ofWeight: layer.weight).floats, direction: direction)
    }
    plan.tap = { [unowned self] tap in self.layers[tap.node]?.add(tap) }
  }

  /// Adds a batch of examples, see `CurvatureEstimator.add`.
  package func add(_ inputs: UnsafePointer<Float>) {
    pass.run(inputs, labels: [])
  }

  /// `[examples, in]` by node; the collector is spent then.
  package func takeDerivatives() -> [Int: Matrix] {
    defer { layers = [:] }
    return layers.mapValues(\.matrix)
  }
}

/// The derivatives of one layer.
private final class RemovalDerivatives {
  private let op: any AffineOperator
  private let shape: AffineShape
  private let inputShape: [Int]
  /// `[out, in]`.
  private let weights: [Float]
  /// `[in, in + 1]`.
  private let direction: [Float]
  private var derivatives: [Double] = []

  init(
    _ op: any AffineOperator, _ shape: AffineShape, inputShape: [Int], weights: [Float],
    direction: Matrix
  ) {
    self.op = op
    self.shape = shape
    self.inputShape = inputShape
    self.weights = weights
    self.direction = direction.elements.map { Float($0) }
  }

  var matrix: Matrix {
    Matrix(
      rows: derivatives.count / max(1, shape.inputs), columns: shape.inputs, elements: derivatives)
  }

  /// Adds a batch; the examples are shared out among the threads.
  func add(_ tap: CurvatureTap) {
    let (batch, inputs) = (inputShape[0], shape.inputs)
    var rows = [Double](repeating: 0, count: batch * inputs)
    rows.withUnsafeMutableBufferPointer { rows in
      nonisolated(unsafe) let rows = rows
      parallel { part, parts in
        let space = Workspace(shape)
        for n in stride(from: part, to: batch, by: parts) {
          self.write(
            UnsafeMutableBufferPointer(rebasing: rows[n * inputs..<(n + 1) * inputs]), n, tap, space
          )
        }
      }
    }
    derivatives += rows
  }

  private struct Workspace {
    let patches: AlignedBuffer
    let gradient: AlignedBuffer
    let pulls: AlignedBuffer

    init(_ shape: AffineShape) {
      let width = shape.inputs + 1
      patches = AlignedBuffer(bytes: 4 * width * shape.positions)
      gradient = AlignedBuffer(bytes: 4 * shape.outputs * width)
      pulls = AlignedBuffer(bytes: 4 * shape.inputs * width)
    }
  }

  private func write(
    _ row: UnsafeMutableBufferPointer<Double>, _ n: Int, _ tap: CurvatureTap, _ space: Workspace
  ) {
    let (o, m, t) = (shape.outputs, shape.inputs, shape.positions)
    let (patches, gradient, pulls) = (
      space.patches.floats, space.gradient.floats, space.pulls.floats
    )
    op.writePatches(
      of: tap.input, shape: inputShape, examples: n..<n + 1, group: 0, grid: .all, into: patches)
    let slopes = tap.outputGradient + n * o * t
    let isMajor = op.patchesArePositionMajor
    // `∂L_n/∂W`, then `Wᵀ ∂L_n/∂W`, and the same for the constant input beside it.
    multiply(
      slopes, transposingA: isMajor, patches, transposingB: !isMajor, into: gradient, m: o, n: m,
      k: t)
    weights.withUnsafeBufferPointer { weights in
      guard let base = weights.baseAddress else { return }
      multiply(base, transposingA: true, gradient, into: pulls, m: m, n: m, k: o)
      let biases = gradient + o * m
      for i in 0..<o {
        biases[i] = (0..<t).reduce(0) { $0 + slopes[isMajor ? $1 * o + i : i * t + $1] }
      }
      for j in 0..<m {
        var sum = Double(dotBias(base, biases, j)) * Double(direction[j * (m + 1) + m])
        var product: Float = 0
        for k in 0..<m { product += pulls[j * m + k] * direction[j * (m + 1) + k] }
        sum += Double(product)
        row[j] = -sum
      }
    }
  }

  private func dotBias(
    _ weights: UnsafePointer<Float>, _ biases: UnsafePointer<Float>, _ column: Int
  ) -> Float {
    var sum: Float = 0
    for i in 0..<shape.outputs { sum += weights[i * shape.inputs + column] * biases[i] }
    return sum
  }
}
