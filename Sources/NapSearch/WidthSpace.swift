package import NapGraph
package import NapPruning

/// The sets of a network's units as genes: a width says how many units of a set are kept.
///
/// Widths are arrays of as many numbers as there are sets, in the order of `PruningUnits.sets`.
package struct WidthSpace: Sendable {
  package let cost: Cost
  /// Of the whole network.
  package let full: [Int]
  /// The least that a set may keep.
  package let least: [Int]
  /// What widths are multiples of; the full width is allowed, too.
  package let steps: [Int]
  private let sets: [[PruningUnit]]
  private let model: CostModel
  /// Indices on every axis that some unit lies on.
  private var counts: [IndexAtoms.Place: Int] = [:]

  /// - Throws: when the shapes of the graph cannot be inferred.
  package init(
    _ graph: Graph, cost: Cost, rounding: Rounding, latencies: LatencyTable? = nil
  ) throws(GraphError) {
    self.cost = cost
    model = try CostModel(graph, latencies: latencies)
    let units = try PruningUnits(graph)
    sets = units.sets.map { $0.map { units.units[$0] } }
    full = sets.map(\.count)
    steps = sets.map { rounding.multiple(of: $0.count, channels: $0[0].channels) }
    least = zip(full, steps).map { min($0, $1) }
    let shapes = try graph.shapes(batch: 1)
    for place in units.units.flatMap(\.places.keys) {
      counts[place] = shapes[place.value.index][place.axis]
    }
  }

  /// What some widths leave of every set, and of every axis that sets lie on.
  package func goals(of widths: [Int]) -> WidthGoals {
    var goals = WidthGoals(units: [:], indices: counts)
    for (units, width) in zip(sets, widths) {
      guard let first = units.first else { continue }
      goals.units[Set(first.places.keys)] = width
      for (place, indices) in PruningUnit.joined(units[width...]).places {
        goals.indices[place, default: 0] -= indices.count
      }
    }
    return goals
  }

  /// Where a set's units lie: their indices by axis of a value.
  package func places(of set: Int) -> [IndexAtoms.Place: [Int]] {
    PruningUnit.joined(sets[set]).places
  }

  /// What the network costs at some widths, whichever units these are.
  package func cost(of widths: [Int]) -> Int {
    var model = model
    for (units, width) in zip(sets, widths) where width < units.count {
      model.remove(.joined(units[width...]))
    }
    return model.value(cost)
  }

  /// Widths by channel shares, such as of a search: `1` is all of a set.
  package func widths(ofShares shares: [Double]) -> [Double] {
    zip(full, shares).map { Double($0) * $1 }
  }

  // MARK: Allowed widths
  /// The nearest width that is allowed.
  private func nearest(_ ideal: Double, in set: Int) -> Int {
    let step = Double(steps[set])
    let rounded = Int((ideal / step).rounded() * step)
    let below = min(max(rounded, least[set]), full[set])
    // All of a set is allowed though it may be no multiple.
    return Double(full[set]) - ideal < abs(ideal - Double(below)) ? full[set] : below
  }

  private func lower(_ width: Int, in set: Int) -> Int? {
    guard width > least[set] else { return nil }
    return max(least[set], (width - 1) / steps[set] * steps[set])
  }

  private func higher(_ width: Int, in set: Int) -> Int? {
    guard width < full[set] else { return nil }
    return min(full[set], (width / steps[set] + 1) * steps[set])
  }

  /// The allowed widths nearest to some ideal ones whose cost is no more than a budget, and that leave no room for
  /// one that was rounded down; `nil` where the least widths cost more.
  package func fitted(_ ideal: [Double], to budget: Int) -> [Int]? {
    var widths = ideal.indices.map { nearest(ideal[$0], in: $0) }
    /// How far a set is above what it should be, by its size.
    func excess(_ set: Int, _ width: Int) -> Double {
      (Double(width) - ideal[set]) / Double(full[set])
    }
    while cost(of: widths) > budget {
      let candidates = widths.indices.compactMap { set in
        lower(widths[set], in: set).map { (excess(set, $0), set, $0) }
      }
      guard let (_, set, width) = candidates.max(by: { ($0.0, $1.1) < ($1.0, $0.1) }) else {
        return nil
      }
      widths[set] = width
    }
    var room = widths.indices.filter { excess($0, widths[$0]) < 0 }
    room.sort { (excess($0, widths[$0]), $0) < (excess($1, widths[$1]), $1) }
    for set in room {
      guard let width = higher(widths[set], in: set) else { continue }
      let before = widths[set]
      widths[set] = width
      if cost(of: widths) > budget { widths[set] = before }
    }
    return widths
  }

  /// The widths in the same proportions, as large or as small as a budget asks for; `nil` where none is so small.
  package func scaled(_ shares: [Double], to budget: Int) -> [Int]? {
    func ideal(_ factor: Double) -> [Double] {
      shares.indices.map {
        min(max(Double(full[$0]) * shares[$0] * factor, Double(least[$0])), Double(full[$0]))
      }
    }
    // The largest factor that the unrounded widths can bear; costs are of the next whole numbers.
    var (low, high) = (0.0, 1 / max(shares.min() ?? 1, 1e-6))
    for _ in 0..<Self.bisections {
      let middle = (low + high) / 2
      if cost(of: ideal(middle).map { Int($0.rounded()) }) <= budget {
        low = middle
      } else {
        high = middle
      }
    }
    return fitted(ideal(low), to: budget)
  }

  private static let bisections = 16
}
