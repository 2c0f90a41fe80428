import NapCurvature
import NapGraph
import NapKernels
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Compensation and predicted losses against the quadratic model itself, in double precision.
@Suite struct QuadraticModelTests {
  /// Rounding of `float32` weights against double-precision algebra.
  private let tolerance = 1e-4

  private func randomMatrix(_ size: Int, samples: Int, _ random: inout SplitMix64) -> Matrix {
    var rows = Matrix(rows: samples, columns: size)
    for i in rows.elements.indices { rows.elements[i] = Double(random.uniform()) * 2 - 1 }
    return rows.transposed * rows
  }

  /// Inputs of one block of a factor: all of them, or so few that factors fall apart.
  private static let blockSizes = [Int.max, 3]

  private func factors(_ network: SmallNetwork, _ blockSize: Int) throws -> [Int: KroneckerFactors]
  {
    var random = Seed(4).generator()
    let shapes = try network.graph.shapes(batch: 1)
    var result: [Int: KroneckerFactors] = [:]
    for (index, node) in network.graph.nodes.enumerated() {
      guard let op = node.op as? any AffineOperator,
        let shape = op.affineShape(node.inputs.map { shapes[$0.index] })
      else { continue }
      let groups = (0..<shape.groups).map { _ in
        KroneckerFactors.Group(
          a: BlockDiagonalMatrix(
            shape.blocks(upTo: blockSize).map {
              randomMatrix($0.count, samples: 2 * $0.count, &random)
            }),
          g: randomMatrix(shape.outputs, samples: 2 * shape.outputs, &random))
      }
      result[index] = KroneckerFactors(groups: groups, exactCurvature: 1)
    }
    return result
  }

  /// `½ tr(G D A Dᵀ)` for a change `D` of the weights.
  private func quadratic(_ change: Matrix, a: Matrix, g: Matrix) -> Double {
    0.5 * (g * change * a).dot(change)
  }

  private func difference(_ a: Matrix, _ b: Matrix) -> Matrix {
    Matrix(rows: a.rows, columns: a.columns, elements: zip(a.elements, b.elements).map { $0 - $1 })
  }

  @Test(arguments: blockSizes) func compensationMinimizesTheQuadraticModel(_ blockSize: Int) throws
  {
    let network = SmallNetwork.concatenating
    let factors = try factors(network, blockSize)
    let model = try PruningModel(network.graph, factors: factors, damping: 1e-3)
    let node = try #require(network.graph.nodes.firstIndex { $0.name == "c" })
    let layer = try #require(model.layers[node])
    let g = try #require(factors[node]).groups[0].g
    let a = KroneckerFactors.Group.damped(try #require(factors[node]).groups[0].a, 1e-3).dense
    let before = layer.weights[0]
    let predicted = layer.loss(removingColumns: [1, 3]) / layer.calibration
    layer.remove(columns: [1, 3], compensating: true)
    let after = layer.weights[0]
    for i in 0..<after.rows { #expect(after[i, 1] == 0 && after[i, 3] == 0) }
    let cost = quadratic(difference(after, before), a: a, g: g)
    #expect(abs(cost - predicted) < tolerance * predicted)

    // No other change of the columns that stay is better: the gradient there is zero.
    let gradient = g * difference(after, before) * a
    let scale = gradient.elements.map(abs).max() ?? 1
    for i in 0..<after.rows {
      for j in [0, 2, 4, 5] {
        #expect(abs(gradient[i, j]) < tolerance * scale, "row \(i), column \(j)")
      }
    }
  }

  @Test(arguments: blockSizes) func removingOneByOneIsRemovingAtOnce(_ blockSize: Int) throws {
    let network = SmallNetwork.concatenating
    let factors = try factors(network, blockSize)
    let node = try #require(network.graph.nodes.firstIndex { $0.name == "c" })
    let once = try #require(try PruningModel(network.graph, factors: factors).layers[node])
    let twice = try #require(try PruningModel(network.graph, factors: factors).layers[node])
    let both = once.loss(removingColumns: [0, 4])
    let first = twice.loss(removingColumns: [0])
    once.remove(columns: [0, 4], compensating: true)
    twice.remove(columns: [0], compensating: true)
    let second = twice.loss(removingColumns: [4])
    twice.remove(columns: [4], compensating: true)
    #expect(abs(both - first - second) < tolerance * both)
    for (x, y) in zip(once.weights[0].elements, twice.weights[0].elements) {
      #expect(abs(x - y) < tolerance)
    }
  }

  @Test(arguments: blockSizes) func singleLossesAreTheBlockLossOfOneColumn(_ blockSize: Int) throws
  {
    let network = SmallNetwork.concatenating
    var factors = try factors(network, blockSize)
    let node = try #require(network.graph.nodes.firstIndex { $0.name == "c" })
    // With G = I the rows are independent, and a column's loss is the sum over its rows.
    factors[node]?.groups[0].g = .identity(4)
    let layer = try #require(
      try PruningModel(network.graph, factors: factors, damping: 1e-12).layers[node])
    let singles = SummedLoss().weightScores(in: layer)[0]
    for j in 0..<5 {
      let sum = (0..<4).reduce(0) { $0 + singles[$1, j] }
      #expect(abs(sum - layer.loss(removingColumns: [j]) / layer.calibration) < tolerance * sum)
    }
  }

  /// Against the minimizer with one more weight held at zero.
  @Test(arguments: blockSizes) func remainingLossesCountOnTheWeightsThatAreLeft(_ blockSize: Int)
    throws
  {
    let network = SmallNetwork.concatenating
    let factors = try factors(network, blockSize)
    let model = try PruningModel(network.graph, factors: factors, damping: 1e-3)
    let node = try #require(network.graph.nodes.firstIndex { $0.name == "c" })
    let layer = try #require(model.layers[node])
    var weights = layer.weights[0]
    for i in 0..<weights.rows {
      weights[i, i % 5] = 0
      weights[i, (i + 2) % 5] = 0
    }
    layer.set(weights, group: 0)
    let losses = layer.remainingLosses(group: 0)
    let factor = try #require(factors[node]).groups[0]
    let a = KroneckerFactors.Group.damped(factor.a, 1e-3).dense
    for i in 0..<weights.rows {
      for j in 0..<5 {
        guard weights[i, j] != 0 else {
          #expect(losses[i, j] == 0)
          continue
        }
        let kept = (0..<5).filter { $0 != j && weights[i, $0] != 0 } + [5]
        let w = weights.selecting(rows: [i], columns: Array(0...5))
        let right = (a * w.transposed).selecting(rows: kept, columns: [0])
        let solved = try #require(
          a.selecting(rows: kept, columns: kept).solvingPositiveDefinite(right))
        var change = w
        for c in 0...5 { change[0, c] = -w[0, c] }
        for (k, c) in kept.enumerated() { change[0, c] += solved[k, 0] }
        let expected = 0.5 * factor.g[i, i] * (change * a).dot(change)
        #expect(abs(losses[i, j] - expected) < tolerance * expected)
      }
    }
  }

  @Test(arguments: blockSizes) func thinningMinimizesTheQuadraticModelRowByRow(_ blockSize: Int)
    throws
  {
    let network = SmallNetwork.concatenating
    let factors = try factors(network, blockSize)
    let model = try PruningModel(network.graph, factors: factors, damping: 1e-3)
    let before = model.layers.mapValues { $0.weights[0] }
    var (steps, announced) = ([Int](), 0)
    let masks = WeightSelection(model).prune(to: 0.5, criterion: BlockLoss()) { step, count in
      steps.append(step)
      announced = count
    }
    #expect(steps == Array(steps.indices.map { $0 + 1 }) && steps.last == announced)
    let total = masks.values.reduce(0) { $0 + $1.count }
    #expect(
      masks.values.reduce(0) { $0 + $1.filter { !$0 }.count }
        == Int((0.5 * Double(total)).rounded()))
    for (node, layer) in model.layers {
      let factor = try #require(factors[node])
      let a = KroneckerFactors.Group.damped(factor.groups[0].a, 1e-3).dense
      let gradient = difference(layer.weights[0], try #require(before[node])) * a
      let mask = try #require(masks[layer.weight])
      let scale = max(gradient.elements.map(abs).max() ?? 1, 1e-3)
      for i in 0..<layer.shape.outputs {
        for j in 0..<layer.shape.inputs {
          if mask[i * layer.shape.inputs + j] {
            #expect(abs(gradient[i, j]) < tolerance * scale)
          } else {
            #expect(layer.weights[0][i, j] == 0)
          }
        }
      }
    }
  }

  /// Conjugate gradients end where the normal equations do.
  @Test func refiningMinimizesTheQuadraticModel() throws {
    var random = Seed(9).generator()
    let a = randomMatrix(7, samples: 20, &random)
    var weights = Matrix(rows: 3, columns: 10)
    for i in weights.elements.indices { weights.elements[i] = Double(random.uniform()) - 0.5 }
    // Of columns 3 to 9, the last is the constant, which stays.
    let kept = (0..<27).map { $0 % 9 < 3 || $0 % 2 == 0 }
    var found = weights
    LayerModel.refine(&found, columns: 3..<10, keeping: kept, a)
    for i in 0..<3 {
      let stays = (0..<7).filter { $0 == 6 || kept[i * 9 + 3 + $0] }
      let row = weights.selecting(rows: [i], columns: Array(3..<10))
      let right = (a * row.transposed).selecting(rows: stays, columns: [0])
      let solved = try #require(
        a.selecting(rows: stays, columns: stays).solvingPositiveDefinite(right))
      for j in 0..<3 { #expect(found[i, j] == weights[i, j]) }
      for j in 0..<7 {
        let expected = stays.firstIndex(of: j).map { solved[$0, 0] } ?? 0
        #expect(abs(found[i, 3 + j] - expected) < 1e-9)
      }
    }
  }
}
