import Foundation
import NapEngine
package import NapGraph
package import NapKernels
package import NapOutputs
package import NapTensor

/// Measures, example by example, what given changes of the weights do to the loss, to first order.
///
/// A change takes one input column `j` from a layer and gives its part to the others: `-W_j c_jᵀ`, with
/// `c_j` a row of the layer's directions. Its derivative `-w_jᵀ (∂L_n/∂W) c_j` holds all positions of
/// the example together, whose correlations Kronecker factors leave out; the second moment over
/// examples is the exact Fisher information of the change.
package final class RemovalCollector: ExampleCollector {
  private let pass: CurvaturePass
  /// By layer, then by group; of every node that reads its weight.
  private var layers: [Int: [[RemovalDerivatives]]] = [:]
  private var derivativesOfNode: [Int: [RemovalDerivatives]] = [:]

  /// - Parameters:
  ///   - directions: `[in, in + 1]` by the first node of a layer, and by group.
  ///   - outputs: what they are; guessed from their shapes where it is `nil`.
  ///   - byPosition: see `RemovalDerivatives`; `nil` chooses what takes less time.
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(
    _ graph: Graph, directions: [Int: [Matrix]], outputs: Outputs? = nil, batch: Int,
    byPosition: Bool? = nil, seed: Seed
  ) throws {
    let plan = try Plan(graph, mode: .curvature, batch: batch, tapsAreDense: true)
    pass = try CurvaturePass(plan, kind: .model, outputs: outputs, seed: seed)
    let shapes = try graph.shapes(inputs: plan.inputShapes)
    for layer in graph.affineLayers(shapes: shapes) {
      guard let directions = directions[layer.index] else { continue }
      let weights = layer.op.matrices(ofWeight: layer.weight).floats
      let size = layer.shape.outputs * layer.shape.inputs
      layers[layer.index] = directions.enumerated().map { group, direction in
        layer.readers.map { reader in
          let derivatives = RemovalDerivatives(
            reader, group, weights: Array(weights[group * size..<(group + 1) * size]),
            direction: direction,
            byPosition: byPosition ?? (reader.shape.positions < reader.shape.outputs))
          derivativesOfNode[reader.index, default: []].append(derivatives)
          return derivatives
        }
      }
    }
    plan.tap = { [unowned self] tap in
      for derivatives in self.derivativesOfNode[tap.node] ?? [] { derivatives.add(tap) }
    }
  }

  /// Adds a batch of examples, see `CurvatureEstimator.add`.
  package func add(
    _ inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>] = [], weights: [Double]
  ) {
    pass.run(inputs, targets: [], weights: weights)
  }

  /// `[examples, in]` by the first node of every layer and by group, the sums over all nodes that read
  /// its weight; the collector is spent then.
  package func takeDerivatives() -> [Int: [Matrix]] {
    defer { (layers, derivativesOfNode) = ([:], [:]) }
    return layers.mapValues { groups in
      groups.map { readers in
        // Nodes that no output depends on are never heard of.
        var heard = readers.map(\.matrix).filter { $0.rows > 0 }
        guard var sum = heard.popLast() else { return readers[0].matrix }
        for other in heard { sum += other }
        return sum
      }
    }
  }
}

extension AffineShape {
  /// Floating-point operations of what a `RemovalCollector` does with one example.
  package var removalOperations: Double {
    let (o, m, t) = (Double(outputs), Double(inputs), Double(positions))
    return 2 * Double(groups) * m * (m * min(o, t) + o * t)
  }
}

/// The derivatives of one group of one node, in one of two orders: by position, what is pulled back through the
/// weights times what is missing of the input there; or through `∂L_n/∂W`.
private final class RemovalDerivatives {
  private let op: any AffineOperator
  private let shape: AffineShape
  private let inputShape: [Int]
  private let group: Int
  /// `[out, in]`.
  private let weights: [Float]
  /// `[in, in]`, and the constant input's part.
  private let direction: [Float]
  private let constants: [Float]
  private let byPosition: Bool
  private var derivatives: [Double] = []

  init(
    _ reader: AffineLayer.Reader, _ group: Int, weights: [Float], direction: Matrix,
    byPosition: Bool
  ) {
    let shape = reader.shape
    op = reader.op
    self.shape = shape
    inputShape = reader.inputShape
    self.group = group
    self.weights = weights
    self.byPosition = byPosition
    self.direction = (0..<shape.inputs).flatMap { j in
      (0..<shape.inputs).map { Float(direction[j, $0]) }
    }
    constants = (0..<shape.inputs).map { Float(direction[$0, shape.inputs]) }
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
        let space = Workspace(self.shape, byPosition: self.byPosition)
        for n in stride(from: part, to: batch, by: parts) {
          self.op.writePatches(
            of: tap.input, shape: self.inputShape, examples: n..<n + 1, group: self.group,
            grid: .all, into: space.patches.floats)
          let block = n * self.shape.groups + self.group
          let slopes = tap.outputGradient + block * self.shape.outputs * self.shape.positions
          let row = UnsafeMutableBufferPointer(rebasing: rows[n * inputs..<(n + 1) * inputs])
          if self.byPosition {
            self.writeByPosition(row, slopes, space)
          } else {
            self.writeByWeight(row, slopes, space)
          }
        }
      }
    }
    derivatives += rows
  }

  private struct Workspace {
    let patches: AlignedBuffer
    /// By position, what is missing of the inputs; else `∂L_n/∂W` and `∂L_n/∂b`.
    let changes: AlignedBuffer
    let pulls: AlignedBuffer

    init(_ shape: AffineShape, byPosition: Bool) {
      let (o, m, t) = (shape.outputs, shape.inputs, shape.positions)
      patches = AlignedBuffer(bytes: 4 * m * t)
      changes = AlignedBuffer(bytes: 4 * (byPosition ? m * t : o * (m + 1)))
      pulls = AlignedBuffer(bytes: 4 * m * (byPosition ? t : m))
    }
  }

  private func writeByPosition(
    _ row: UnsafeMutableBufferPointer<Double>, _ slopes: UnsafePointer<Float>, _ space: Workspace
  ) {
    let (o, m, t) = (shape.outputs, shape.inputs, shape.positions)
    let (missing, pulls) = (space.changes.floats, space.pulls.floats)
    let isMajor = op.patchesArePositionMajor
    multiply(
      direction, space.patches.floats, transposingB: isMajor, into: missing, m: m, n: t, k: m)
    multiply(
      weights, transposingA: true, slopes, transposingB: isMajor, into: pulls, m: m, n: t, k: o)
    for j in 0..<m {
      for k in j * t..<(j + 1) * t { missing[k] += constants[j] }
      row[j] = -dotProduct(pulls + j * t, missing + j * t, count: t)
    }
  }

  private func writeByWeight(
    _ row: UnsafeMutableBufferPointer<Double>, _ slopes: UnsafePointer<Float>, _ space: Workspace
  ) {
    let (o, m, t) = (shape.outputs, shape.inputs, shape.positions)
    let (gradient, pulls) = (space.changes.floats, space.pulls.floats)
    let isMajor = op.patchesArePositionMajor
    multiply(
      slopes, transposingA: isMajor, space.patches.floats, transposingB: !isMajor, into: gradient,
      m: o, n: m, k: t)
    multiply(weights, transposingA: true, gradient, into: pulls, m: m, n: m, k: o)
    let biases = gradient + o * m
    for i in 0..<o {
      biases[i] = (0..<t).reduce(0) { $0 + slopes[isMajor ? $1 * o + i : i * t + $1] }
    }
    direction.withUnsafeBufferPointer { direction in
      guard let base = direction.baseAddress else { return }
      for j in 0..<m {
        var bias: Float = 0
        for i in 0..<o { bias += weights[i * m + j] * biases[i] }
        row[j] = -Double(bias * constants[j]) - dotProduct(pulls + j * m, base + j * m, count: m)
      }
    }
  }
}
