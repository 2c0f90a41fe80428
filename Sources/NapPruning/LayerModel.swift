package import NapCurvature
package import NapGraph
package import NapKernels
import NapTensor

/// An affine layer under the quadratic model: its weights as they are being compensated, and the
/// inverse of its input factor as it is being down-dated.
package final class LayerModel {
  /// Where the constant that compensation adds to a layer's output is kept.
  package enum BiasHome: Sendable, Hashable {
    /// In the layer's bias, which is multiplied by a factor.
    case bias(ValueID, factor: Float)
    /// Taken off the running mean of the normalization that follows.
    case runningMean(ValueID)
    /// In a bias that the layer does not have yet.
    case newBias
    /// Nowhere: it is dropped.
    case none
  }

  package let node: Int
  package let op: any AffineOperator
  package let weight: ValueID
  package let shape: AffineShape
  package let biasHome: BiasHome
  /// `[out, in + 1]` by group; the last column is the bias.
  package var weights: [Matrix] {
    removePending()
    return currentWeights
  }
  private var currentWeights: [Matrix]
  /// Kronecker factors as collected; `nil` for criteria without curvature.
  package let factors: KroneckerFactors?
  /// Exact by approximate curvature along the layer's own weights.
  package let calibration: Double
  /// Damped `A⁻¹` by group, without the rows and columns that are gone.
  package var inputInverses: [BlockDiagonalMatrix] {
    removePending()
    return currentInverses
  }
  private var currentInverses: [BlockDiagonalMatrix] = []
  /// Columns that are to go before anybody looks: many at once cost little more than one.
  private var pending: (columns: [Int], compensating: Bool) = ([], false)
  let weightShape: [Int]
  private let damping: Double
  private let isShared: Bool
  package private(set) var isChanged = false

  init(
    node: Int, op: any AffineOperator, weight: ValueID, shape: AffineShape, biasHome: BiasHome,
    isShared: Bool, graph: Graph, factors: KroneckerFactors?, damping: Double
  ) {
    self.node = node
    self.op = op
    self.weight = weight
    self.shape = shape
    self.biasHome = biasHome
    self.isShared = isShared
    self.factors = factors
    self.damping = damping
    let tensor = graph.constants[weight] ?? Tensor(shape: [0], floats: [])
    weightShape = tensor.shape
    var bias: [Float]?
    if case .bias(let value, let factor) = biasHome {
      bias = graph.constants[value]?.floats.map { $0 * factor }
    }
    let elements = op.matrices(ofWeight: tensor).floats
    currentWeights = (0..<shape.groups).map { group in
      var matrix = Matrix(rows: shape.outputs, columns: shape.inputs + 1)
      for o in 0..<shape.outputs {
        let row = (group * shape.outputs + o) * shape.inputs
        for i in 0..<shape.inputs { matrix[o, i] = Double(elements[row + i]) }
        if let bias { matrix[o, shape.inputs] = Double(bias[group * shape.outputs + o]) }
      }
      return matrix
    }
    calibration = factors.map { [currentWeights] in $0.calibration(for: currentWeights) } ?? 1
    currentInverses = (factors?.groups ?? []).map {
      KroneckerFactors.Group.dampedInverse(of: $0.a, damping)
    }
  }

  /// Damped `G⁻¹` by group.
  package lazy var outputInverses: [Matrix] = (factors?.groups ?? []).map {
    KroneckerFactors.Group.dampedInverse(of: BlockDiagonalMatrix($0.g), damping).blocks[0]
  }

  /// The damped `A` of a group.
  func dampedInput(_ group: Int) -> BlockDiagonalMatrix? {
    factors.map { KroneckerFactors.Group.damped($0.groups[group].a, damping) }
  }

  /// The columns of the weight matrix that read some indices of the weight's input axis.
  package func columns(ofInputs indices: [Int]) -> [Int] {
    let width = shape.inputs / max(1, weightShape[op.weightInputAxis])
    return indices.flatMap { ($0 * width)..<(($0 + 1) * width) }
  }

  /// Rows of the weight matrices that some indices of the weight's output axis are.
  package func rows(ofOutputs indices: [Int]) -> [(group: Int, row: Int)] {
    indices.map { ($0 / shape.outputs, $0 % shape.outputs) }
  }
}

// MARK: Removal
extension LayerModel {
  /// The increase of the loss, in nats, when columns go and the others make up for them as well as
  /// they can: `½ tr(G W_J ([A⁻¹]_JJ)⁻¹ W_Jᵀ)`, calibrated.
  package func loss(removingColumns columns: [Int]) -> Double {
    guard let g = factors?.groups.first?.g, shape.groups == 1 else { return 0 }
    let inverse = inputInverses[0]
    return inverse.split(columns).reduce(0) { sum, part in
      let first = inverse.bounds[part.block]
      let removed = currentWeights[0].selecting(columns: part.local.map { first + $0 })
      let corner = inverse.blocks[part.block].selecting(rows: part.local, columns: part.local)
      let solved = corner.solvingPositiveDefinite(removed.transposed)?.transposed ?? removed
      return sum + 0.5 * calibration * (g * removed).dot(solved)
    }
  }

  /// The increase of the loss when an output goes and the other outputs make up for it:
  /// `½ w_iᵀ A w_i / [G⁻¹]_ii`, calibrated.
  package func loss(removingRow row: Int, group: Int) -> Double {
    guard let factors else { return 0 }
    let w = weights[group].selecting(rows: [row], columns: Array(0...shape.inputs))
    return 0.5 * calibration * (w * factors.groups[group].a).dot(w)
      / outputInverses[group][row, row]
  }

  /// The sum of the losses of removing single weights: `Σ W_ij² / (2 [G⁻¹]_ii [A⁻¹]_jj)`, as in the
  /// paper, uncalibrated.
  package func summedLoss(group: Int, rows: [Int], columns: [Int]) -> Double {
    var sum = 0.0
    for i in rows {
      let output = outputInverses[group][i, i]
      for j in columns {
        let input = inputInverses[group].diagonal(j)
        if input > 0 { sum += weights[group][i, j] * weights[group][i, j] / (2 * output * input) }
      }
    }
    return sum
  }

  /// The losses of removing single weights, `[out, in]`: `W_ij² / (2 [G⁻¹]_ii [A⁻¹]_jj)`.
  package func singleLosses(group: Int) -> Matrix {
    var result = Matrix(rows: shape.outputs, columns: shape.inputs)
    for i in 0..<shape.outputs {
      let output = outputInverses[group][i, i]
      for j in 0..<shape.inputs {
        let w = weights[group][i, j]
        result[i, j] = w * w / (2 * output * inputInverses[group].diagonal(j))
      }
    }
    return result
  }

  /// The sum of squares of some weights.
  package func squaredNorm(group: Int, rows: [Int], columns: [Int]) -> Double {
    rows.reduce(0) { sum, i in
      columns.reduce(sum) { $0 + weights[group][i, $1] * weights[group][i, $1] }
    }
  }

  /// Removes columns of a layer without groups.
  ///
  /// With `compensating`, the other columns change by `-W_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`, the minimizer of
  /// the quadratic model, and `A⁻¹` is down-dated.
  package func remove(columns: [Int], compensating: Bool) {
    isChanged = true
    if pending.compensating != compensating { removePending() }
    pending = (pending.columns + columns, compensating)
  }

  private func removePending() {
    guard !pending.columns.isEmpty else { return }
    let (columns, compensating) = pending
    pending.columns = []
    if compensating, !currentInverses.isEmpty, !isShared {
      for (block, local) in currentInverses[0].split(columns) { compensate(local, inBlock: block) }
    }
    for j in columns { clear(column: j) }
  }

  private func compensate(_ columns: [Int], inBlock block: Int) {
    let inverse = currentInverses[0].blocks[block]
    let corner = inverse.selecting(rows: columns, columns: columns)
    let strip = inverse.selecting(rows: columns, columns: Array(0..<inverse.columns))
    guard let solved = corner.solvingPositiveDefinite(strip) else { return }
    let range = currentInverses[0].range(block)
    let removed = currentWeights[0].selecting(columns: columns.map { range.lowerBound + $0 })
    currentWeights[0].add(removed, solved, factor: -1, columns: range)
    currentInverses[0].blocks[block].add(strip.transposed, solved, factor: -1)
  }

  private func clear(column: Int) {
    for i in 0..<shape.outputs { currentWeights[0][i, column] = 0 }
    guard !currentInverses.isEmpty else { return }
    let block = currentInverses[0].block(of: column)
    let j = column - currentInverses[0].bounds[block]
    for i in 0..<currentInverses[0].blocks[block].rows {
      currentInverses[0].blocks[block][i, j] = 0
      currentInverses[0].blocks[block][j, i] = 0
    }
    currentInverses[0].blocks[block][j, j] = Self.gone
  }

  /// What stands on the diagonal of a down-dated inverse where the column is gone: any positive
  /// number keeps the matrix invertible, and the weight there is zero.
  private static let gone = 1.0

  package func remove(row: Int, group: Int) {
    isChanged = true
    // Columns that are still to go add nothing to a row of zeros.
    for j in 0...shape.inputs { currentWeights[group][row, j] = 0 }
  }

  /// Replaces the weights, such as by masked and compensated ones.
  package func set(_ matrix: Matrix, group: Int) {
    isChanged = true
    removePending()
    currentWeights[group] = matrix
  }

  /// Writes the weights and biases as they are now.
  package func write(to graph: inout Graph) {
    guard isChanged else { return }
    let elements = weights.flatMap { matrix in
      (0..<matrix.rows).flatMap { i in (0..<shape.inputs).map { Float(matrix[i, $0]) } }
    }
    let matrices = Tensor(shape: [shape.groups, shape.outputs, shape.inputs], floats: elements)
    graph.constants[weight] = op.weight(ofMatrices: matrices, shape: weightShape)
    let biases = weights.flatMap { matrix in (0..<matrix.rows).map { matrix[$0, shape.inputs] } }
    switch biasHome {
    case .bias(let value, let factor):
      graph.constants[value]?.floats = biases.map { Float($0 / Double(factor)) }
    case .runningMean(let value):
      guard let mean = graph.constants[value] else { return }
      graph.constants[value]?.floats = zip(mean.floats, biases).map { Float(Double($0) - $1) }
    case .newBias:
      guard biases.contains(where: { $0 != 0 }), graph.nodes[node].inputs.count == 2 else { return }
      let bias = graph.addConstant(
        "\(graph.name(of: weight))_bias",
        Tensor(shape: [biases.count], floats: biases.map(Float.init)))
      graph.nodes[node].inputs.append(bias)
    case .none: return
    }
  }
}
