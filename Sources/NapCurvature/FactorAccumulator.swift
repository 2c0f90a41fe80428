import NapEngine
import NapGraph
import NapKernels
import NapTensor

/// Sums of the Kronecker factors of one affine node over examples.
final class FactorAccumulator {
  private let op: any AffineOperator
  private let inputShape: [Int]
  private let shape: AffineShape
  private var a: [[Double]]
  private var g: [[Double]]
  private var exactCurvature = 0.0
  private var examples = 0

  /// - Parameter inputShape: of the batches to come, the batch axis included.
  init(_ op: any AffineOperator, _ shape: AffineShape, inputShape: [Int]) {
    self.op = op
    self.inputShape = inputShape
    self.shape = shape
    let m = shape.inputs + 1
    a = [[Double]](repeating: [Double](repeating: 0, count: m * m), count: shape.groups)
    g = [[Double]](
      repeating: [Double](repeating: 0, count: shape.outputs * shape.outputs), count: shape.groups)
  }

  /// Scratch memory of one thread.
  final class Workspace {
    fileprivate let a: AlignedBuffer
    fileprivate let g: AlignedBuffer
    fileprivate let patches: AlignedBuffer

    /// - Parameter shapes: of all nodes it is to serve.
    init(for shapes: [AffineShape]) {
      func most(_ size: (AffineShape) -> Int) -> AlignedBuffer {
        AlignedBuffer(bytes: 4 * (shapes.map(size).max() ?? 1))
      }
      a = most { ($0.inputs + 1) * ($0.inputs + 1) }
      g = most { $0.outputs * $0.outputs }
      patches = most { 2 * ($0.inputs + 1) * $0.positions }
    }
  }

  /// Adds a batch; the examples are shared out among the workspaces' threads.
  func add(_ tap: CurvatureTap, workspaces: [Workspace]) {
    let batch = inputShape[0]
    let (m, o) = (shape.inputs + 1, shape.outputs)
    for group in 0..<shape.groups {
      parallel { part, parts in
        for slot in workspaces.indices where slot % parts == part {
          let space = workspaces[slot]
          space.a.floats.update(repeating: 0, count: m * m)
          space.g.floats.update(repeating: 0, count: o * o)
          let first = batch * slot / workspaces.count
          let end = batch * (slot + 1) / workspaces.count
          for n in first..<end { self.addExample(n, group, tap, space) }
        }
      }
      for space in workspaces {
        Self.add(space.a.floats, to: &a[group])
        Self.add(space.g.floats, to: &g[group])
      }
    }
    let size = shape.groups * o * shape.positions
    for n in 0..<batch {
      let slope = dotProduct(tap.outputGradient + n * size, tap.output + n * size, count: size)
      exactCurvature += slope * slope
    }
    examples += batch
  }

  private func addExample(_ n: Int, _ group: Int, _ tap: CurvatureTap, _ space: Workspace) {
    let (inputs, outputs, positions) = (shape.inputs, shape.outputs, shape.positions)
    let patches = space.patches.floats
    if op.patchesArePositionMajor {
      let plain = patches + (inputs + 1) * positions
      op.writePatches(
        of: tap.input, shape: inputShape, examples: n..<n + 1, group: group, into: plain)
      for t in 0..<positions {
        let row = patches + t * (inputs + 1)
        row.update(from: plain + t * inputs, count: inputs)
        row[inputs] = 1
      }
      addSelfProduct(
        of: patches, rows: positions, columns: inputs + 1, transposed: true, into: space.a.floats)
      addSelfProduct(
        of: tap.outputGradient + n * positions * outputs, rows: positions, columns: outputs,
        transposed: true, into: space.g.floats)
    } else {
      op.writePatches(
        of: tap.input, shape: inputShape, examples: n..<n + 1, group: group, into: patches)
      (patches + inputs * positions).update(repeating: 1, count: positions)
      addSelfProduct(of: patches, rows: inputs + 1, columns: positions, into: space.a.floats)
      let gradient = tap.outputGradient + (n * shape.groups + group) * outputs * positions
      addSelfProduct(of: gradient, rows: outputs, columns: positions, into: space.g.floats)
    }
  }

  private static func add(_ source: UnsafePointer<Float>, to sum: inout [Double]) {
    sum.withUnsafeMutableBufferPointer { sum in
      for i in sum.indices { sum[i] += Double(source[i]) }
    }
  }

  var factors: KroneckerFactors {
    let (m, o, count) = (shape.inputs + 1, shape.outputs, Double(max(1, examples)))
    func mean(_ sums: [Double], _ size: Int, over count: Double) -> Matrix {
      var matrix = Matrix(rows: size, columns: size, elements: sums.map { $0 / count })
      matrix.mirrorLowerTriangle()
      return matrix
    }
    let groups = zip(a, g).map { a, g in
      KroneckerFactors.Group(
        a: mean(a, m, over: count), g: mean(g, o, over: count * Double(shape.positions)))
    }
    return KroneckerFactors(groups: groups, exactCurvature: exactCurvature / count)
  }
}
