package import NapGraph

/// What must go together: one channel with everything that computes, scales or reads it.
package struct PruningUnit: Sendable {
  /// Its place among all units of the network.
  package let index: Int
  /// Ascending indices, by axis of a value.
  package let places: [IndexAtoms.Place: [Int]]
  /// How many channels it is in every layer that computes it: more than one where a grouped convolution
  /// or a shuffle ties them; where layers differ, their greatest common divisor.
  package let channels: Int

  /// Some units as if they were one, with the index of the first.
  package static func joined(_ units: some Collection<PruningUnit>) -> PruningUnit {
    var places: [IndexAtoms.Place: [Int]] = [:]
    for unit in units { places.merge(unit.places) { $0 + $1 } }
    return PruningUnit(
      index: units.first?.index ?? 0, places: places,
      channels: units.reduce(0) { $0 + $1.channels })
  }
}

/// All units of a graph that hold weights, and what is frozen and why.
package struct PruningUnits: Sendable {
  package struct Frozen: Sendable, Hashable {
    package var place: IndexAtoms.Place
    package var reason: String
  }

  package private(set) var units: [PruningUnit] = []
  /// Axes of weights on which some index is frozen: the obvious ones (positions in a kernel) left out.
  package private(set) var frozen: [Frozen] = []

  /// - Throws: when the shapes of the graph cannot be inferred.
  package init(_ graph: Graph) throws(GraphError) {
    var atoms = try IndexAtoms(graph)
    var members: [Int: [IndexAtoms.Place: [Int]]] = [:]
    var order: [Int] = []
    let weights = Self.affineWeights(graph, atoms.shapes)
    for (value, shape) in atoms.shapes.enumerated() {
      for (axis, size) in shape.enumerated() {
        let place = IndexAtoms.Place(value: ValueID(value), axis: axis)
        for index in 0..<size {
          let atom = atoms.atom(place, index)
          guard atoms.frozenReason(atom) == nil else { continue }
          let root = atoms.find(atom)
          if members[root] == nil { order.append(root) }
          members[root, default: [:]][place, default: []].append(index)
        }
      }
    }
    let outputAxes = Set(weights.map { IndexAtoms.Place(value: $0.key, axis: $0.value[0]) })
    for root in order {
      guard let places = members[root], places.keys.contains(where: { weights[$0.value] != nil })
      else {
        continue
      }
      let channels = places.reduce(0) {
        outputAxes.contains($1.key) ? greatestCommonDivisor($0, $1.value.count) : $0
      }
      units.append(PruningUnit(index: units.count, places: places, channels: max(1, channels)))
    }
    for (weight, axes) in weights.sorted(by: { $0.key < $1.key }) {
      for axis in axes {
        let place = IndexAtoms.Place(value: weight, axis: axis)
        let reasons = (0..<atoms.shapes[weight.index][axis])
          .compactMap { atoms.frozenReason(atoms.atom(place, $0)) }
        if let reason = reasons.first { frozen.append(Frozen(place: place, reason: reason)) }
      }
    }
  }

  /// Indices of units by the axes that they lie on: channels of the same layers.
  package var sets: [[Int]] {
    var order: [Set<IndexAtoms.Place>: Int] = [:]
    var sets: [[Int]] = []
    for (index, unit) in units.enumerated() {
      let axes = Set(unit.places.keys)
      if let set = order[axes] {
        sets[set].append(index)
      } else {
        order[axes] = sets.count
        sets.append([index])
      }
    }
    return sets
  }

  /// The weights of affine nodes, with their feature axes.
  private static func affineWeights(_ graph: Graph, _ shapes: [[Int]]) -> [ValueID: [Int]] {
    var result: [ValueID: [Int]] = [:]
    for node in graph.nodes {
      guard let (op, _) = graph.affineForm(of: node, shapes) else { continue }
      result[node.inputs[1]] = [op.weightOutputAxis, op.weightInputAxis]
    }
    return result
  }
}

/// Of 0 and another number, the other one.
func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
