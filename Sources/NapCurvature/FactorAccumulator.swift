import Foundation
import NapEngine
package import NapGraph
import NapKernels
import NapTensor

/// Sums of the Kronecker factors of one affine layer over examples and over the nodes that read its
/// weight.
final class FactorAccumulator {
  private let readers: [Reader]
  /// Of one reader: the positions differ between them.
  private let shape: AffineShape
  /// How many positions of an example `A` is summed over, about.
  private let positionsAtMost: Int
  /// Columns of the blocks of `A`.
  private let blocks: [Range<Int>]
  /// By group, then by block; without what the readers' correlations hold.
  private var a: [[[Double]]]
  private var g: [[Double]]
  /// `Σ_t g_t · z_t` of every example of the batch, over the readers that have been heard.
  private var slopes: [Double]
  private var exactCurvature = 0.0
  private var examples = 0

  private struct Reader {
    let node: Int
    let op: any AffineOperator
    let inputShape: [Int]
    let shape: AffineShape
    let correlation: PatchCorrelation?
    /// Its own bias by output, which is no weight of the layer; empty where there is none.
    let ownBias: [Float]
  }

  /// - Parameters:
  ///   - layer: with the shapes of the batches to come.
  ///   - largestFactor: inputs of a block of `A` at most.
  ///   - positionsAtMost: of an example, for `A`.
  init(_ layer: AffineLayer, in graph: Graph, largestFactor: Int, positionsAtMost: Int) {
    self.positionsAtMost = positionsAtMost
    shape = layer.shape
    blocks = shape.blocks(upTo: largestFactor)
    readers = layer.readers.map { reader in
      let input = reader.inputShape
      let correlates = (reader.op as? any PatchOperator)?.correlatesPatches(of: input) ?? false
      var bias: [Float] = []
      if !layer.biasesAgree, reader.node.inputs.count > 2 {
        bias = graph.constants[reader.node.inputs[2]]?.floats ?? []
      }
      return Reader(
        node: reader.index, op: reader.op, inputShape: input, shape: reader.shape,
        correlation: correlates
          ? PatchCorrelation(channels: input[1], height: input[2], width: input[3]) : nil,
        ownBias: bias.map { $0 * reader.op.biasFactor })
    }
    let isSummed = readers.contains { $0.correlation == nil }
    let empty = isSummed ? blocks.map { [Double](repeating: 0, count: $0.count * $0.count) } : []
    a = [[[Double]]](repeating: empty, count: shape.groups)
    g = [[Double]](
      repeating: [Double](repeating: 0, count: shape.outputs * shape.outputs), count: shape.groups)
    slopes = [Double](repeating: 0, count: readers[0].inputShape[0])
  }

  /// Scratch memory of one thread.
  final class Workspace {
    fileprivate let square: AlignedBuffer
    fileprivate let patches: AlignedBuffer

    /// - Parameter shapes: of all nodes it is to serve.
    init(for shapes: [AffineShape], largestFactor: Int) {
      func most(_ size: (AffineShape) -> Int) -> AlignedBuffer {
        AlignedBuffer(bytes: 4 * (shapes.map(size).max() ?? 1))
      }
      square = most { shape in
        let largest = shape.blocks(upTo: largestFactor).map(\.count).max() ?? 1
        return max(largest * largest, shape.outputs * shape.outputs)
      }
      patches = most { 2 * ($0.inputs + 1) * $0.positions * $0.examplesAtOnce }
    }
  }

  /// Adds what one reader sees of a batch; the examples are shared out among the workspaces' threads.
  func add(_ tap: CurvatureTap, workspaces: [Workspace]) {
    guard let reader = readers.first(where: { $0.node == tap.node }) else { return }
    let batch = slopes.count
    reader.correlation?.add(tap.input, count: batch)
    for group in 0..<shape.groups {
      for (block, columns) in blocks.enumerated() where reader.correlation == nil {
        Self.sum(columns.count, batch, workspaces, into: &a[group][block]) {
          self.addInputs(reader, $0, group, columns, tap, $1)
        }
      }
      Self.sum(shape.outputs, batch, workspaces, into: &g[group]) {
        Self.addGradients(reader, $0, group, tap, $1)
      }
    }
    let size = shape.groups * shape.outputs * reader.shape.positions
    for n in 0..<batch {
      let gradient = tap.outputGradient + n * size
      slopes[n] += dotProduct(gradient, tap.output + n * size, count: size)
      if !reader.ownBias.isEmpty { slopes[n] -= Self.slope(reader, gradient) }
    }
  }

  /// Of one example, by a factor on the reader's own bias.
  private static func slope(_ reader: Reader, _ gradient: UnsafePointer<Float>) -> Double {
    let (positions, outputs) = (reader.shape.positions, reader.ownBias.count)
    var sum = 0.0
    for t in 0..<positions {
      for (o, bias) in reader.ownBias.enumerated() {
        let i = reader.op.patchesArePositionMajor ? t * outputs + o : o * positions + t
        sum += Double(bias) * Double(gradient[i])
      }
    }
    return sum
  }

  /// Counts the batch, once all readers have been heard: a weight's slope is the sum of theirs.
  func finishBatch() {
    for n in slopes.indices {
      exactCurvature += slopes[n] * slopes[n]
      slopes[n] = 0
    }
    examples += slopes.count
  }

  /// Adds what `body` adds to the square of each workspace for some of the examples.
  private static func sum(
    _ size: Int, _ batch: Int, _ workspaces: [Workspace], into sum: inout [Double],
    _ body: (Range<Int>, Workspace) -> Void
  ) {
    parallel { part, parts in
      for slot in workspaces.indices where slot % parts == part {
        let space = workspaces[slot]
        space.square.floats.update(repeating: 0, count: size * size)
        let first = batch * slot / workspaces.count
        body(first..<batch * (slot + 1) / workspaces.count, space)
      }
    }
    sum.withUnsafeMutableBufferPointer { sum in
      nonisolated(unsafe) let sum = sum
      parallel { part, parts in
        for space in workspaces {
          let square = space.square.floats
          for i in sum.count * part / parts..<sum.count * (part + 1) / parts {
            sum[i] += Double(square[i])
          }
        }
      }
    }
  }

  private func addInputs(
    _ reader: Reader, _ examples: Range<Int>, _ group: Int, _ columns: Range<Int>,
    _ tap: CurvatureTap, _ space: Workspace
  ) {
    let (op, shape, inputShape) = (reader.op, reader.shape, reader.inputShape)
    let (inputs, positions) = (shape.inputs, shape.positions)
    let patches = space.patches.floats
    guard op.patchesArePositionMajor else {
      for n in examples {
        let count = op.writePatches(
          of: tap.input, shape: inputShape, examples: n..<n + 1, group: group,
          grid: grid(reader, n),
          into: patches)
        (patches + inputs * count).update(repeating: 1, count: count)
        addSelfProduct(
          of: patches + columns.lowerBound * count, rows: columns.count, columns: count,
          factor: Float(positions) / Float(count), into: space.square.floats)
      }
      return
    }
    for first in stride(
      from: examples.lowerBound, to: examples.upperBound, by: shape.examplesAtOnce)
    {
      let chunk = first..<min(first + shape.examplesAtOnce, examples.upperBound)
      let rows = chunk.count * positions
      let plain = patches + (inputs + 1) * rows
      op.writePatches(
        of: tap.input, shape: inputShape, examples: chunk, group: group, grid: .all, into: plain)
      for t in 0..<rows {
        let row = patches + t * (inputs + 1)
        row.update(from: plain + t * inputs, count: inputs)
        row[inputs] = 1
      }
      addSelfProduct(
        of: patches + columns.lowerBound, rows: rows, columns: columns.count, stride: inputs + 1,
        transposed: true, into: space.square.floats)
    }
  }

  /// Every few positions of an example, from a first one that changes from example to example.
  ///
  /// Neighbouring patches share most of their numbers and tell nearly the same.
  private func grid(_ reader: Reader, _ example: Int) -> PositionGrid {
    let axes = max(1, reader.inputShape.count - 2)
    let share = Double(reader.shape.positions) / Double(max(1, positionsAtMost))
    let step = max(1, Int(pow(share, 1 / Double(axes)).rounded(.up)))
    var rest = examples + example
    let phases = (0..<axes).map { _ in
      defer { rest /= step }
      return rest % step
    }
    return PositionGrid(step: step, phases: phases)
  }

  private static func addGradients(
    _ reader: Reader, _ examples: Range<Int>, _ group: Int, _ tap: CurvatureTap,
    _ space: Workspace
  ) {
    let shape = reader.shape
    let (outputs, positions) = (shape.outputs, shape.positions)
    if reader.op.patchesArePositionMajor {
      addSelfProduct(
        of: tap.outputGradient + examples.lowerBound * positions * outputs,
        rows: examples.count * positions, columns: outputs, transposed: true,
        into: space.square.floats)
    } else {
      for n in examples {
        let gradient = tap.outputGradient + (n * shape.groups + group) * outputs * positions
        addSelfProduct(of: gradient, rows: outputs, columns: positions, into: space.square.floats)
      }
    }
  }

  /// Hands over the factors; the accumulator is empty then.
  func takeFactors() -> KroneckerFactors {
    let count = Double(max(1, examples))
    func mean(_ sum: consuming Matrix, over count: Double) -> Matrix {
      var matrix = sum
      for i in matrix.elements.indices { matrix.elements[i] /= count }
      matrix.mirrorLowerTriangle()
      return matrix
    }
    // Moved, not copied: the largest factors take gigabytes.
    func taken(_ sums: inout [Double], _ size: Int) -> Matrix {
      defer { sums = [] }
      return Matrix(rows: size, columns: size, elements: sums)
    }
    let groups = a.indices.map { group in
      KroneckerFactors.Group(
        a: BlockDiagonalMatrix(
          blocks.indices.map { block in
            var sums = readers.compactMap { $0.correlation?.moments(blocks[block]) }
            if !a[group].isEmpty { sums.append(taken(&a[group][block], blocks[block].count)) }
            var sum = sums.removeFirst()
            for other in sums { sum += other }
            return mean(sum, over: count)
          }),
        g: mean(
          taken(&g[group], shape.outputs), over: count * Double(shape.positions)))
    }
    return KroneckerFactors(groups: groups, exactCurvature: exactCurvature / count)
  }
}

extension AffineShape {
  /// Products of few rows are slow: as many examples as have some hundred positions go together.
  fileprivate var examplesAtOnce: Int { max(1, 512 / max(1, positions)) }

  /// The columns of the weight, bias included, as blocks of about the same size.
  package func blocks(upTo largest: Int) -> [Range<Int>] {
    let count = 1 + max(0, inputs - 1) / largest
    return (0..<count).map { block in
      let end = inputs * (block + 1) / count
      return inputs * block / count..<(block == count - 1 ? end + 1 : end)
    }
  }
}
