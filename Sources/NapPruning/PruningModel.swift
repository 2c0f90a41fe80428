package import NapCurvature
package import NapGraph
package import NapKernels
package import NapTensor

/// A network under the quadratic model: what criteria look at, and what removals change.
package final class PruningModel {
  package let graph: Graph
  package let units: PruningUnits
  /// Affine layers by the first node that reads the weight.
  package let layers: [Int: LayerModel]
  package private(set) var cost: CostModel
  private let shares: UnitShares
  /// Indices left on every axis that some unit touches.
  private var remaining: [IndexAtoms.Place: Int] = [:]
  private var removed: [IndexAtoms.Place: [Int]] = [:]
  package private(set) var removedUnits: [Int] = []
  private var goneUnits: Set<Int> = []
  /// What the network may do without as a whole.
  package let branches: [ResidualBranch]
  /// Indices of branches that are gone, in the order in which they went.
  package private(set) var removedBranches: [Int] = []
  /// Grows with all that goes, and with a branch by as much as with all units: what was scored before a branch
  /// went has to be scored again.
  private(set) var changes = 0
  /// Which units do what others do; `nil` where nobody asked.
  package internal(set) var functions: UnitFunctions?
  /// The gates of all removed units together, by example; empty without gradients.
  package private(set) var closedGates: [Double] = []
  /// By index of the unit.
  private var calibrations: [Int: Double] = [:]
  let roles: [ValueID: ParameterRole]
  let seed: Seed

  /// - Parameters:
  ///   - factors: Kronecker factors by node; empty for criteria that need none.
  ///   - gradients: of the weights by node; empty for criteria that need none.
  ///   - damping: of the factors, relative to their mean eigenvalues.
  ///   - latencies: what the time of the network is predicted from.
  ///   - keepingInputFactors: whether single weights are to go; whole units need inverses alone.
  ///   - progress: told of every large layer whose factors are inverted, as inverting takes seconds
  ///     each; what it throws ends the work.
  package init(
    _ graph: Graph, factors: consuming [Int: KroneckerFactors] = [:],
    gradients: [Int: WeightGradients] = [:], damping: Double = 1e-3,
    keepingInputFactors: Bool = true, latencies: LatencyTable? = nil, seed: Seed = Seed(0),
    progress: (_ done: Int, _ layers: Int) throws -> Void = { _, _ in }
  ) throws {
    self.graph = graph
    self.seed = seed
    roles = graph.parameterRoles
    units = try PruningUnits(graph)
    cost = try CostModel(graph, latencies: latencies)
    let shapes = try graph.shapes(batch: 1)
    let (uses, consumers) = (graph.constantUses, graph.consumers)
    func makeLayer(_ affine: AffineLayer, _ factors: consuming KroneckerFactors?) -> LayerModel {
      LayerModel(
        affine,
        homes: affine.readers.map {
          BiasHome(of: $0, in: affine, graph, uses: uses, consumers: consumers)
        }, graph: graph, factors: factors, gradients: gradients[affine.index], damping: damping,
        keepsInputFactors: keepingInputFactors, seed: seed)
    }
    let affine = graph.affineLayers(shapes: shapes)
    var layers: [Int: LayerModel] = [:]
    // All threads work on one large layer, whose factors are given up before the next: they take
    // gigabytes.
    let large = affine.filter { $0.shape.inputs > Self.widthSideBySide }
    let inverts = !factors.isEmpty
    for layer in large {
      layers[layer.index] = makeLayer(layer, factors.removeValue(forKey: layer.index))
      if inverts { try progress(layers.count, large.count) }
    }
    var small: [(AffineLayer, KroneckerFactors?)?] =
      affine.filter { $0.shape.inputs <= Self.widthSideBySide }
      .map { ($0, factors.removeValue(forKey: $0.index)) }
    for layer in sideBySide(&small, { makeLayer($0, $1) }) { layers[layer.node] = layer }
    self.layers = layers
    shares = UnitShares(units.units, of: layers, graph, shapes)
    branches = graph.residualBranches(shapes).filter { branch in
      layers[branch.tail[0]].map { $0.readers.count == 1 && !$0.isShared } ?? false
    }
    for unit in units.units {
      for place in unit.places.keys { remaining[place] = shapes[place.value.index][place.axis] }
    }
  }

  /// Inputs of a layer up to which one thread alone inverts its factors.
  private static let widthSideBySide = 2048

  /// A model of its own for trying out what a removal does; scores are those of the original.
  private init(copying other: PruningModel) {
    graph = other.graph
    units = other.units
    seed = other.seed
    roles = other.roles
    cost = other.cost
    layers = other.layers.mapValues { LayerModel(copying: $0) }
    shares = other.shares
    remaining = other.remaining
    removed = other.removed
    removedUnits = other.removedUnits
    goneUnits = other.goneUnits
    branches = other.branches
    removedBranches = other.removedBranches
    changes = other.changes
    functions = other.functions
    closedGates = other.closedGates
    calibrations = other.calibrations
  }

  package func copy() -> PruningModel { PruningModel(copying: self) }
}

// MARK: Units
extension PruningModel {
  /// A group of a layer that reads a unit, and the columns it reads it with.
  package typealias Reading = (layer: LayerModel, group: Int, columns: [Int])
  /// A layer that computes a unit, and the rows that do.
  package typealias Computing = (layer: LayerModel, rows: [(group: Int, row: Int)])

  package func readings(of unit: PruningUnit) -> [Reading] {
    shares.reads[unit.index].compactMap { share in
      layers[share.node].map { ($0, share.group, share.columns) }
    }
  }

  package func computings(of unit: PruningUnit) -> [Computing] {
    shares.computes[unit.index].compactMap { share in layers[share.node].map { ($0, share.rows) } }
  }

  /// The loss of a unit as the Kronecker factors give it, not calibrated.
  func kroneckerLoss(of unit: PruningUnit) -> Double {
    readings(of: unit).reduce(0) {
      $0 + $1.layer.loss(removingColumns: $1.columns, group: $1.group)
        / $1.layer.calibration
    }
  }

  /// By what to multiply a unit's `kroneckerLoss`; `nil` where nothing has been measured.
  func calibration(of unit: PruningUnit) -> Double? { calibrations[unit.index] }

  /// What a `RemovalCollector` is to measure, by the first node of a layer and by group; layers it cannot
  /// be measured of are left out.
  package func removalDirections() -> [Int: [Matrix]] {
    var columns: [Int: [Int: [[Int]]]] = [:]
    for unit in units.units {
      for reading in readings(of: unit) {
        columns[reading.layer.node, default: [:]][reading.group, default: []]
          .append(reading.columns)
      }
    }
    var result: [Int: [Matrix]] = [:]
    for (node, columns) in columns { result[node] = layers[node]?.removalDirections(of: columns) }
    return result
  }

  /// The first nodes of layers that compute some unit.
  package var computingLayers: Set<Int> { Set(shares.computes.joined().map(\.node)) }

  /// Floating-point operations of what a `RemovalCollector` does with one example.
  package var removalOperations: Double {
    let read = Set(shares.reads.joined().map(\.node))
    return layers.values.reduce(0) {
      read.contains($1.node) ? $0 + $1.shape.removalOperations : $0
    }
  }

  /// Takes over what a `RemovalCollector` has measured.
  package func calibrate(_ derivatives: [Int: [Matrix]]) {
    for unit in units.units {
      let readings = readings(of: unit)
      let measured = readings.compactMap { layer, group, columns in
        derivatives[layer.node].map { ($0[group], columns) }
      }
      // What no output depends on has no rows.
      let heard = measured.filter { $0.0.rows > 0 }
      let examples = heard.first?.0.rows ?? 0
      guard !measured.isEmpty, measured.count == readings.count,
        heard.allSatisfy({ $0.0.rows == examples })
      else { continue }
      let sums = (0..<examples).map { n in
        heard.reduce(0.0) { sum, part in part.1.reduce(sum) { $0 + part.0[n, $1] } }
      }
      let loss = kroneckerLoss(of: unit)
      if loss > 0 { calibrations[unit.index] = 0.5 * sums.meanSquare / loss }
    }
  }

  /// The sum of what a criterion says of a unit's weights, those it is read with and those it is
  /// computed with.
  func sum(over unit: PruningUnit, _ score: (LayerModel, _ group: Int) -> (Int, Int) -> Double)
    -> Double
  {
    var sum = 0.0
    for (layer, group, columns) in readings(of: unit) {
      let score = score(layer, group)
      for i in 0..<layer.shape.outputs { for j in columns { sum += score(i, j) } }
    }
    for (layer, rows) in computings(of: unit) {
      for (group, i) in rows {
        let score = score(layer, group)
        for j in 0..<layer.shape.inputs { sum += score(i, j) }
      }
    }
    return sum
  }

  /// How every example's loss changes with a factor on the unit, `Σ_t x_t ∂L_n/∂x_t` with its
  /// activation `x`; empty without gradients.
  package func gates(of unit: PruningUnit) -> [Double] {
    readings(of: unit).reduce(into: []) { sum, reading in
      let gates = reading.layer.gates(reading.columns, group: reading.group)
      // What no output depends on has none.
      guard !gates.isEmpty else { return }
      sum = sum.isEmpty ? gates : zip(sum, gates).map { $0 + $1 }
    }
  }

  /// Whether every axis keeps an index when the unit goes.
  package func mayRemove(_ unit: PruningUnit) -> Bool { mayRemove([unit]) }

  /// Whether every axis keeps an index when some units go together.
  package func mayRemove(_ units: [PruningUnit]) -> Bool {
    var counts: [IndexAtoms.Place: Int] = [:]
    for unit in units {
      for (place, indices) in unit.places { counts[place, default: 0] += indices.count }
    }
    return counts.allSatisfy { (remaining[$0.key] ?? 0) > $0.value }
  }

  /// Whether as many indices as are wanted stay on axes when a unit goes.
  func remains(without unit: PruningUnit, atLeast goals: [IndexAtoms.Place: Int]) -> Bool {
    unit.places.allSatisfy { place, indices in
      (remaining[place] ?? 0) - indices.count >= goals[place] ?? 0
    }
  }

  package func remove(_ index: Int, compensating: Bool) {
    let unit = units.units[index]
    let gates = gates(of: unit)
    closedGates = closedGates.isEmpty ? gates : zip(closedGates, gates).map { $0 + $1 }
    for (layer, rows) in computings(of: unit) {
      for (group, row) in rows { layer.remove(row: row, group: group) }
    }
    for (layer, group, columns) in readings(of: unit) {
      layer.remove(columns: columns, group: group, compensating: compensating)
    }
    cost.remove(unit)
    for (place, indices) in unit.places {
      remaining[place, default: 0] -= indices.count
      removed[place, default: []] += indices
    }
    removedUnits.append(index)
    goneUnits.insert(index)
    changes += 1
  }

  func isRemoved(_ index: Int) -> Bool { goneUnits.contains(index) }
}

// MARK: Branches
extension PruningModel {
  /// The increase of the loss, in nats, when a constant stands for what a branch adds: the mean, as far as its last
  /// layer has a place for that.
  package func loss(ofBranch index: Int) -> Double {
    guard let layer = layers[branches[index].tail[0]] else { return .infinity }
    let columns = Array(0..<layer.shape.inputs)
    return (0..<layer.shape.groups).reduce(0) {
      $0 + layer.loss(removingColumns: columns, group: $1)
    }
  }

  /// Whether a branch is still there, and something else is left of what it is added to.
  package func mayRemove(branch index: Int) -> Bool {
    let branch = branches[index]
    return !removedBranches.contains { gone in
      branches[gone].sum == branch.sum || branches[gone].nodes.contains(branch.sum)
    }
  }

  package func remove(branch index: Int, compensating: Bool) {
    let branch = branches[index]
    if let layer = layers[branch.tail[0]] {
      for group in 0..<layer.shape.groups {
        layer.remove(
          columns: Array(0..<layer.shape.inputs), group: group, compensating: compensating)
      }
    }
    cost.remove(branch)
    removedBranches.append(index)
    changes += units.units.count
  }
}

// MARK: Results
extension PruningModel {
  /// The network with the layers' weights as they are now.
  package func weighted() -> Graph {
    var result = graph
    for (_, layer) in layers.sorted(by: { $0.key < $1.key }) { layer.write(to: &result) }
    return result
  }

  /// The network at its full size with compensated weights and zeros for what is gone, and the
  /// same network cut, without the branches that are gone.
  package func results() throws(GraphError) -> (masked: Graph, cut: Graph) {
    var masked = weighted()
    var gone = removed.mapValues { $0.sorted() }
    for (place, indices) in gone {
      guard let role = roles[place.value], role != .statistic,
        let tensor = masked.constants[place.value], tensor.isFloat
      else { continue }
      // Zeros divided by zeros would be no numbers.
      masked.constants[place.value] = tensor.setting(
        indices, axis: place.axis, to: role == .divisor ? 1 : 0)
    }
    // A bias that compensation has added is cut like the output it is added to.
    let shapes = try graph.shapes(batch: 1)
    for (layer, reader) in layers.values.flatMap({ layer in layer.readers.map { (layer, $0) } }) {
      let node = graph.nodes[reader.node]
      guard let bias = masked.nodes[reader.node].inputs.dropFirst(2).first,
        node.inputs.dropFirst(2).first != bias,
        let indices = gone[.output(of: node, layer.op, shapes)]
      else { continue }
      gone[IndexAtoms.Place(value: bias, axis: 0)] = indices
      masked.constants[bias] = masked.constants[bias]?.setting(indices, axis: 0, to: 0)
    }
    // No node has gone yet: indices are those of the branches.
    return (masked, try masked.removing(gone).replacing(removedBranches.map { branches[$0] }))
  }
}

extension Tensor {
  /// The tensor with a number at some indices of an axis.
  fileprivate func setting(_ indices: [Int], axis: Int, to number: Float) -> Tensor {
    var numbers = floats
    let inner = shape[(axis + 1)...].product
    for outer in 0..<shape[..<axis].product {
      for index in indices {
        let start = (outer * shape[axis] + index) * inner
        for i in start..<start + inner { numbers[i] = number }
      }
    }
    return Tensor(shape: shape, floats: numbers)
  }
}

/// What `make` makes of each input, every one by one thread, linear algebra included; inputs become
/// `nil` on the way.
private func sideBySide<Input, Result>(_ inputs: inout [Input?], _ make: (Input) -> Result)
  -> [Result]
{
  var results = [Result?](repeating: nil, count: inputs.count)
  inputs.withUnsafeMutableBufferPointer { inputs in
    results.withUnsafeMutableBufferPointer { results in
      parallelLinearAlgebra { part, parts in
        for index in stride(from: part, to: inputs.count, by: parts) {
          results[index] = inputs[index].take().map(make)
        }
      }
    }
  }
  return results.compactMap { $0 }
}
