package import NapGraph

/// How much of a network is to stay: decided for the sets of units that it has at first, and kept through cuts
/// that make other sets of what is left, as they do of grouped layers.
package struct WidthGoals: Codable, Sendable {
  /// Units that stay of a set, by the axes that it lies on.
  package var units: [Set<IndexAtoms.Place>: Int]
  /// Indices that stay on axes.
  package var indices: [IndexAtoms.Place: Int]

  package init(units: [Set<IndexAtoms.Place>: Int], indices: [IndexAtoms.Place: Int]) {
    (self.units, self.indices) = (units, indices)
  }

  /// On the way to others: the given share of the way is left.
  package func approaching(_ others: WidthGoals, left share: Double) -> WidthGoals {
    func between(_ from: Int, _ to: Int) -> Int { to + Int(Double(from - to) * share) }
    return WidthGoals(
      units: units.merging(others.units, uniquingKeysWith: between),
      indices: indices.merging(others.indices, uniquingKeysWith: between))
  }
}

/// What may still go of a network until goals are reached.
struct Surplus {
  private let goals: WidthGoals
  /// Units of every set that may go.
  private var left: [Int]
  /// By unit.
  private let set: [Int]

  init(_ goals: WidthGoals, _ units: PruningUnits) {
    self.goals = goals
    let sets = units.sets
    var set = [Int](repeating: 0, count: units.units.count)
    for (index, members) in sets.enumerated() { for unit in members { set[unit] = index } }
    self.set = set
    left = sets.map { members in
      let axes = Set(units.units[members[0]].places.keys)
      return members.count - (goals.units[axes] ?? 0)
    }
  }

  func mayGo(_ unit: PruningUnit, in model: PruningModel) -> Bool {
    left[set[unit.index]] > 0 && model.remains(without: unit, atLeast: goals.indices)
  }

  mutating func remove(_ unit: PruningUnit) { left[set[unit.index]] -= 1 }
}
