import NapCurvature
package import NapGraph
package import NapKernels
import NapTensor

/// An affine layer under the quadratic model: its weights as they are being compensated, and the
/// inverse of its input factor as it is being down-dated.
package final class LayerModel {
  /// The nodes that read the weight, each with the place of its bias.
  package let readers: [(node: Int, home: BiasHome)]
  package let op: any AffineOperator
  package let weight: ValueID
  /// With the positions of all readers.
  package let shape: AffineShape
  /// The first of the nodes, which stands for the layer.
  package var node: Int { readers[0].node }
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
  /// What is to go before anybody looks closely, by group: many at once cost little more than one.
  private var pending: [Pending]

  private struct Pending {
    var columns: [Int] = []
    var rows: [Int] = []
    var compensating = false
  }

  /// Features of one group of the input.
  let inputFeatures: Int
  /// Columns that every feature of the input is read with.
  let positionsInKernel: Int
  let weightShape: [Int]
  private let damping: Double
  let seed: Seed
  /// Whether others read the weight in another way: then nothing makes up for what goes.
  let isShared: Bool
  private let original: (weight: Tensor, bias: [Float]?)
  /// Outputs that are gone, by group.
  private var goneRows: [Set<Int>]
  package private(set) var isChanged = false

  /// - Parameter homes: of the biases of the layer's readers.
  init(
    _ layer: AffineLayer, homes: [BiasHome], graph: Graph, factors: consuming KroneckerFactors?,
    gradients: WeightGradients?, damping: Double, keepsInputFactors: Bool, seed: Seed
  ) {
    readers = zip(layer.readers, homes).map { ($0.index, $1) }
    op = layer.op
    weight = layer.node.inputs[1]
    shape = layer.shape
    isShared = layer.isShared
    self.damping = damping
    self.gradients = gradients
    self.seed = seed
    (inputFeatures, positionsInKernel) = (layer.inputFeatures, layer.positionsInKernel)
    weightShape = layer.weight.shape
    pending = [Pending](repeating: Pending(), count: shape.groups)
    goneRows = [Set<Int>](repeating: [], count: shape.groups)
    var bias: [Float]?
    switch homes.first {
    case .bias(let value, let factor), .copy(let value, let factor):
      // Different ones are no weights of the layer.
      if layer.biasesAgree { bias = graph.constants[value]?.floats.map { $0 * factor } }
    default: break
    }
    original = (layer.weight, bias)
    currentWeights = Self.matrices(op, layer.weight, bias, shape)
    // Without a place for it, the constant makes up for nothing.
    let keepsConstant = homes.allSatisfy { $0 != .none }
    let groups = factors?.groups ?? []
    let moments = factors?.outputMoments(of: currentWeights) ?? []
    calibration = factors?.calibration(outputMoments: moments) ?? 1
    outputFactors = groups.map(\.g)
    inputMoments = groups.map(\.a.diagonal)
    rowCurvatures = moments.map(\.diagonal)
    let inputs = groups.map { keepsConstant ? $0.a : $0.a.withoutTheConstant }
    inputFactors = keepsInputFactors ? inputs : []
    columnModels = inputs.map {
      ColumnModel(inverse: KroneckerFactors.Group.dampedInverse(of: $0, damping))
    }
  }

  init(copying other: LayerModel) {
    readers = other.readers
    op = other.op
    weight = other.weight
    shape = other.shape
    pending = [Pending](repeating: Pending(), count: shape.groups)
    goneRows = other.goneRows
    currentWeights = other.weights
    calibration = other.calibration
    outputFactors = other.outputFactors
    inputFactors = other.inputFactors
    rowCurvatures = other.rowCurvatures
    inputMoments = other.inputMoments
    gradients = other.gradients
    columnModels = other.columnModels
    (inputFeatures, positionsInKernel) = (other.inputFeatures, other.positionsInKernel)
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

  /// The columns of the weight matrices that read some features of the input.
  package func columns(ofInputs features: [Int]) -> [(group: Int, columns: [Int])] {
    let (perGroup, width) = (max(1, inputFeatures), positionsInKernel)
    return Dictionary(grouping: features) { $0 / perGroup }.sorted { $0.key < $1.key }
      .map { group, features in
        (group, features.flatMap { ($0 % perGroup * width)..<(($0 % perGroup + 1) * width) })
      }
  }

  /// The rows of the weight matrices that compute some features of the output.
  package func rows(ofOutputs features: [Int]) -> [(group: Int, row: Int)] {
    features.map { ($0 / shape.outputs, $0 % shape.outputs) }
  }
}

// MARK: Removal
extension LayerModel {
  /// The increase of the loss, in nats, when columns go and the others make up for them as well as
  /// they can: `½ tr(G W_J ([A⁻¹]_JJ)⁻¹ W_Jᵀ)`, calibrated.
  package func loss(removingColumns columns: [Int], group: Int = 0) -> Double {
    guard !columnModels.isEmpty else { return 0 }
    // A few columns of thousands change little.
    removePending(group, moreThan: 1 / 256)
    return calibration
      * columnModels[group].loss(
        removing: columns, of: currentWeights[group], g: outputFactors[group])
  }

  /// The increase of the loss when an output goes and the other outputs make up for it:
  /// `½ w_iᵀ A w_i / [G⁻¹]_ii`, calibrated, of the weights as they were.
  package func loss(removingRow row: Int, group: Int) -> Double {
    guard !outputFactors.isEmpty else { return 0 }
    return 0.5 * calibration * rowCurvatures[group][row] / outputInverses[group][row, row]
  }

  /// Removes columns of a group.
  ///
  /// With `compensating`, the other columns change by `-W_J ([A⁻¹]_JJ)⁻¹ [A⁻¹]_J,:`, the minimizer of
  /// the quadratic model, and `A⁻¹` is down-dated.
  package func remove(columns: [Int], group: Int = 0, compensating: Bool) {
    isChanged = true
    if pending[group].compensating != compensating { removePending(group) }
    pending[group].columns += columns
    pending[group].compensating = compensating
  }

  package func remove(row: Int, group: Int) {
    isChanged = true
    goneRows[group].insert(row)
    pending[group].rows.append(row)
  }

  private func removePending() { for group in pending.indices { removePending(group) } }

  /// Does what is pending, if it is more than a share of the rows or of the columns.
  private func removePending(_ group: Int, moreThan share: Double = 0) {
    let waiting = pending[group]
    let (columns, rows) = (waiting.columns, waiting.rows)
    guard
      Double(columns.count) > share * Double(shape.inputs)
        || Double(rows.count) > share * Double(shape.outputs)
    else { return }
    pending[group] = Pending()
    guard !columnModels.isEmpty else {
      for i in rows { for j in 0...shape.inputs { currentWeights[group][i, j] = 0 } }
      for j in columns { for i in 0..<shape.outputs { currentWeights[group][i, j] = 0 } }
      return
    }
    columnModels[group].clear(rows: rows, of: &currentWeights[group], g: outputFactors[group])
    if waiting.compensating, !isShared {
      columnModels[group].compensate(removing: columns, of: &currentWeights[group])
    }
    columnModels[group].clear(columns: columns, of: &currentWeights[group])
  }

  /// Replaces the weights, such as by masked and compensated ones.
  package func set(_ matrix: Matrix, group: Int) {
    isChanged = true
    removePending(group)
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
    let constants = currentWeights.enumerated().flatMap { group, matrix in
      (0..<matrix.rows).map { row -> Double in
        // Outputs that are gone are zeroed wherever they are.
        guard !goneRows[group].contains(row) else { return 0 }
        return matrix[row, shape.inputs]
          - Double(original.bias?[group * shape.outputs + row] ?? 0)
      }
    }
    BiasHome.add(constants, at: readers, named: "\(graph.name(of: weight))_bias", to: &graph)
  }
}

extension BlockDiagonalMatrix {
  /// An input factor whose constant, the last input of all, is correlated with no other.
  fileprivate var withoutTheConstant: BlockDiagonalMatrix {
    var result = self
    let (block, last) = (blocks.count - 1, blocks[blocks.count - 1].rows - 1)
    for i in 0..<last {
      result.blocks[block][i, last] = 0
      result.blocks[block][last, i] = 0
    }
    return result
  }
}
