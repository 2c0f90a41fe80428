import NapCurvature
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
  /// Exact by approximate curvature along the layer's own weights.
  package let calibration: Double
  /// Output factors `G` by group; empty for criteria without curvature.
  package let outputFactors: [Matrix]
  /// Input factors `A` by group, where single weights go.
  private let inputFactors: [BlockDiagonalMatrix]
  /// `w_iᵀ A w_i` by group and output, of the weights as they were.
  private let rowCurvatures: [[Double]]
  /// The diagonal of `A` by group; empty for criteria without curvature.
  let inputMoments: [[Double]]
  /// Gradients of the weights; `nil` for criteria that need none.
  let gradients: WeightGradients?
  /// Damped `A⁻¹` by group, without the rows and columns that are gone.
  package var inputInverses: [BlockDiagonalMatrix] {
    removePending()
    return columnModels.map(\.inverse)
  }
  private(set) var columnModels: [ColumnModel]
  /// What is to go before anybody looks closely: many at once cost little more than one.
  private var pending = Pending()

  private struct Pending {
    var columns: [Int] = []
    var rows: [Int] = []
    var compensating = false
  }

  let weightShape: [Int]
  private let damping: Double
  let seed: Seed
  let isShared: Bool
  private let original: (weight: Tensor, bias: [Float]?)
  package private(set) var isChanged = false

  init(
    node: Int, op: any AffineOperator, weight: ValueID, shape: AffineShape, biasHome: BiasHome,
    isShared: Bool, graph: Graph, factors: KroneckerFactors?,
    gradients: WeightGradients?, damping: Double, keepsInputFactors: Bool, seed: Seed
  ) {
    self.node = node
    self.op = op
    self.weight = weight
    self.shape = shape
    self.biasHome = biasHome
    self.isShared = isShared
    self.damping = damping
    self.gradients = gradients
    self.seed = seed
    let tensor = graph.constants[weight] ?? Tensor(shape: [0], floats: [])
    weightShape = tensor.shape
    var bias: [Float]?
    if case .bias(let value, let factor) = biasHome {
      bias = graph.constants[value]?.floats.map { $0 * factor }
    }
    original = (tensor, bias)
    currentWeights = Self.matrices(op, tensor, bias, shape)
    let groups = factors?.groups ?? []
    let moments = factors?.outputMoments(of: currentWeights) ?? []
    calibration = factors?.calibration(outputMoments: moments) ?? 1
    outputFactors = groups.map(\.g)
    inputMoments = groups.map(\.a.diagonal)
    inputFactors = keepsInputFactors ? groups.map(\.a) : []
    rowCurvatures = moments.map(\.diagonal)
    columnModels = groups.map {
      ColumnModel(inverse: KroneckerFactors.Group.dampedInverse(of: $0.a, damping))
    }
  }

  init(copying other: LayerModel) {
    node = other.node
    op = other.op
    weight = other.weight
    shape = other.shape
    biasHome = other.biasHome
    currentWeights = other.weights
    calibration = other.calibration
    outputFactors = other.outputFactors
    inputFactors = other.inputFactors
    rowCurvatures = other.rowCurvatures
    inputMoments = other.inputMoments
    gradients = other.gradients
    columnModels = other.columnModels
    weightShape = other.weightShape
    damping = other.damping
    seed = other.seed
    isShared = other.isShared
    original = other.original
    isChanged = other.isChanged
  }

  /// The weight matrices as they were.
  var originalWeights: [Matrix] { Self.matrices(op, original.weight, original.bias, shape) }

  private static func matrices(
    _ op: any AffineOperator, _ weight: Tensor, _ bias: [Float]?, _ shape: AffineShape
  ) -> [Matrix] {
    let elements = op.matrices(ofWeight: weight).floats
    return (0..<shape.groups).map { group in
      var matrix = Matrix(rows: shape.outputs, columns: shape.inputs + 1)
      for o in 0..<shape.outputs {
        let row = (group * shape.outputs + o) * shape.inputs
        for i in 0..<shape.inputs { matrix[o, i] = Double(elements[row + i]) }
        if let bias { matrix[o, shape.inputs] = Double(bias[group * shape.outputs + o]) }
      }
      return matrix
    }
  }

  /// The mean square of the weights as they were.
  lazy var meanSquare = mean { $0 * $0 }
  /// The mean size of the weights as they were.
  lazy var meanSize = mean(abs)
  /// See `filterDistances`.
  lazy var relativeFilterDistances = filterDistances()

  /// Damped `G⁻¹` by group.
  package lazy var outputInverses: [Matrix] = outputFactors.map {
    KroneckerFactors.Group.dampedInverse(of: $0, damping)
  }

  /// The damped `A` of a group; `nil` where it has not been kept.
  func dampedInput(_ group: Int) -> BlockDiagonalMatrix? {
    inputFactors.isEmpty ? nil : KroneckerFactors.Group.damped(inputFactors[group], damping)
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
    guard columnModels.count == 1 else { return 0 }
    // A few columns of thousands change little.
    removePending(moreThan: 1 / 256)
    return calibration
      * columnModels[0].loss(removing: columns, of: currentWeights[0], g: outputFactors[0])
  }

  /// The increase of the loss when an output goes and the other outputs make up for it:
  /// `½ w_iᵀ A w_i / [G⁻¹]_ii`, calibrated, of the weights as they were.
  package func loss(removingRow row: Int, group: Int) -> Double {
    guard !outputFactors.isEmpty else { return 0 }
    return 0.5 * calibration * rowCurvatures[group][row] / outputInverses[group][row, row]
  }

  /// Removes columns of a layer without groups.
  ///
  /// With `compensating`, the other columns change by `-W_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`, the minimizer of
  /// the quadratic model, and `A⁻¹` is down-dated.
  package func remove(columns: [Int], compensating: Bool) {
    isChanged = true
    if pending.compensating != compensating { removePending() }
    pending.columns += columns
    pending.compensating = compensating
  }

  package func remove(row: Int, group: Int) {
    isChanged = true
    if columnModels.count == 1 {
      pending.rows.append(row)
    } else {
      for j in 0...shape.inputs { currentWeights[group][row, j] = 0 }
    }
  }

  /// Does what is pending, if it is more than a share of the rows or of the columns.
  private func removePending(moreThan share: Double = 0) {
    guard
      Double(pending.columns.count) > share * Double(shape.inputs)
        || Double(pending.rows.count) > share * Double(shape.outputs)
    else { return }
    let (columns, rows) = (pending.columns, pending.rows)
    (pending.columns, pending.rows) = ([], [])
    guard columnModels.count == 1 else {
      for j in columns { for i in 0..<shape.outputs { currentWeights[0][i, j] = 0 } }
      return
    }
    columnModels[0].clear(rows: rows, of: &currentWeights[0], g: outputFactors[0])
    if pending.compensating, !isShared {
      columnModels[0].compensate(removing: columns, of: &currentWeights[0])
    }
    columnModels[0].clear(columns: columns, of: &currentWeights[0])
  }

  /// Replaces the weights, such as by masked and compensated ones.
  package func set(_ matrix: Matrix, group: Int) {
    isChanged = true
    removePending()
    currentWeights[group] = matrix
    if !columnModels.isEmpty { columnModels[group].forgetWeights() }
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
