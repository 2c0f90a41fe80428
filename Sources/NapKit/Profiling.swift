import NapGraph
import NapPruning
public import NapReport
import NapTensor

extension PruningUnits {
  /// What may not go of a graph, and why.
  func frozenReport(_ graph: Graph) -> [ProfileReport.Frozen] {
    frozen.map {
      ProfileReport.Frozen(
        value: graph.name(of: $0.place.value), axis: $0.place.axis, reason: $0.reason)
    }
  }
}

extension Network {
  /// Sizes and costs by layer, what may be removed, and what may not and why.
  ///
  /// - Throws: when the shapes cannot be inferred.
  public func profile() throws -> ProfileReport {
    let shapes = try graph.shapes(batch: 1)
    let macs = graph.macsByNode(shapes: shapes)
    let roles = graph.parameterRoles
    var counted: Set<ValueID> = []
    let layers = graph.nodes.enumerated().map { index, node in
      let own = node.inputs.filter {
        roles[$0].map { $0 != .statistic } ?? false && counted.insert($0).inserted
      }
      return ProfileReport.Layer(
        name: node.name, type: node.op.name, inputShapes: node.inputs.map { shapes[$0.index] },
        outputShape: node.outputs.first.map { shapes[$0.index] } ?? [],
        parameters: own.reduce(0) { $0 + (graph.constants[$1]?.count ?? 0) }, macs: macs[index])
    }
    let model = try PruningModel(graph)
    return ProfileReport(
      parameters: parameters, macs: macs.reduce(0, +), layers: layers, units: groups(of: model),
      frozen: model.units.frozenReport(graph))
  }

  /// Units that concern the same axes of the same weights, counted.
  private func groups(of model: PruningModel) -> [ProfileReport.UnitGroup] {
    var groups: [ProfileReport.UnitGroup] = []
    var indices: [[IndexAtoms.Place]: Int] = [:]
    for unit in model.units.units {
      let layers =
        (model.computings(of: unit).map(\.layer) + model.readings(of: unit).map(\.layer))
        .flatMap { $0.readers.map(\.node) }
      let places = unit.places.keys.filter { graph.constants[$0.value] != nil }
        .sorted { ($0.value, $0.axis) < ($1.value, $1.axis) }
      if let index = indices[places] {
        groups[index].count += 1
        continue
      }
      indices[places] = groups.count
      let saving = model.cost.saving(of: unit)
      groups.append(
        ProfileReport.UnitGroup(
          layers: Set(layers).sorted().map { graph.nodes[$0].name }, count: 1, macs: saving.macs,
          parameters: saving.parameters))
    }
    return groups
  }
}
