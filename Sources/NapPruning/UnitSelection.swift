/// Removes units of a network, one choice at a time.
package protocol ChannelSelection {
  /// Removes what costs the least for what it saves; `false` when nothing may be removed any more.
  ///
  /// - Parameter needed: what has to be saved. What is saved beyond it counts for nothing.
  mutating func removeNext(saving needed: Double) -> Bool
  /// Loss by saving of what would go next; `nil` where nothing may go.
  mutating func nextKey(saving needed: Double) -> Double?
  /// The sum of what the criterion said of all that was removed, as it was computed last before it went.
  var removedLoss: Double { get }
  /// What it says of the unit that would go next, or of each of some that would go together; `nil` where
  /// none may go.
  var nextLoss: Double? { get }
}

extension ChannelSelection {
  /// Removes units until the cost is at most `target`; `false` when that is impossible.
  @discardableResult
  package mutating func remove(
    _ model: PruningModel, _ cost: Cost, downTo target: Int, progress: () throws -> Void = {}
  ) rethrows -> Bool {
    while model.cost.value(cost) > target {
      guard removeNext(saving: Double(model.cost.value(cost) - target)) else { return false }
      try progress()
    }
    return true
  }

  @discardableResult
  package mutating func removeNext() -> Bool { removeNext(saving: .infinity) }
}

/// Removes the units that cost the least loss for what they save, until a target is met.
///
/// Greedy on `score / saving` with a heap whose entries are checked when they come up: removing a
/// unit changes the scores and savings of its neighbors. Of thousands of units, a score counts as
/// fresh for as many removals as are 0.2 % of them.
package struct UnitSelection: ChannelSelection {
  private let criterion: any Criterion
  private let cost: Cost
  private let model: PruningModel
  private var heap: [Entry] = []
  /// What may still go, where that is decided.
  private var surplus: Surplus?
  package private(set) var removedLoss = 0.0

  private struct Entry {
    var key: Double
    var unit: Int
    var loss: Double
    /// `PruningModel.changes` at the time the key was computed.
    var time: Int
  }

  /// - Parameter goals: how much stays, if that is decided; then all else goes.
  package init(
    _ model: PruningModel, criterion: any Criterion, cost: Cost,
    keeping goals: WidthGoals? = nil
  ) {
    self.model = model
    self.criterion = criterion
    self.cost = cost
    surplus = goals.map { Surplus($0, model.units) }
    heap = model.units.units.indices.compactMap { entry(of: $0) }
    heap.sort(by: Self.precedes)
  }

  /// With score by saving as the key; `nil` when the unit saves nothing.
  private func entry(of index: Int, saving needed: Double = .infinity) -> Entry? {
    let unit = model.units.units[index]
    var saved = model.cost.saving(of: unit, cost)
    // It is decided already that such units go.
    if surplus != nil { saved = max(saved, .leastNormalMagnitude.squareRoot()) }
    guard saved > 0 else { return nil }
    let loss = criterion.loss(of: unit, in: model)
    return Entry(
      key: loss / min(saved, needed), unit: index, loss: loss, time: model.changes)
  }

  package mutating func removeNext(saving needed: Double) -> Bool {
    guard let entry = popNext(saving: needed) else { return false }
    let unit = model.units.units[entry.unit]
    model.remove(entry.unit, compensating: type(of: criterion).compensates)
    surplus?.remove(unit)
    removedLoss += entry.loss
    return true
  }

  package mutating func nextKey(saving needed: Double) -> Double? {
    guard let entry = popNext(saving: needed) else { return nil }
    insert(entry)
    return entry.key
  }

  /// Takes what comes next from the heap, scored as the network is now.
  private mutating func popNext(saving needed: Double) -> Entry? {
    while let entry = popFirst() {
      let unit = model.units.units[entry.unit]
      guard model.mayRemove(unit), surplus?.mayGo(unit, in: model) ?? true else { continue }
      if entry.time + model.units.units.count / 500 < model.changes
        || model.cost.saving(of: unit, cost) > needed
      {
        guard let fresh = self.entry(of: entry.unit, saving: needed) else { continue }
        if let next = heap.first, Self.precedes(next, fresh) {
          insert(fresh)
          continue
        }
        return fresh
      }
      return entry
    }
    return nil
  }

  package var nextLoss: Double? {
    let next = heap.filter { model.mayRemove(model.units.units[$0.unit]) }
      .min(by: Self.precedes)
    return next.map { criterion.loss(of: model.units.units[$0.unit], in: model) }
  }

  /// The smallest cost that any removal of units can reach.
  ///
  /// - Parameter removingBranches: whether residual branches may go as wholes.
  package static func smallest(
    _ model: PruningModel, _ cost: Cost, rounding: Rounding, removingBranches: Bool = false
  ) -> Int {
    if removingBranches {
      let savings = model.branches.map { model.cost.saving(of: $0, cost) }
      for index in savings.indices.sorted(by: { savings[$0] > savings[$1] })
      where model.mayRemove(branch: index) {
        model.remove(branch: index, compensating: false)
      }
    }
    for set in model.units.sets {
      var left = set.count
      if case .multiple = rounding, let first = set.first {
        let channels = model.units.units[first].channels
        left -= min(left, rounding.multiple(of: left, channels: channels))
      }
      for index in set.prefix(left) where model.mayRemove(model.units.units[index]) {
        model.remove(index, compensating: false)
      }
    }
    return model.cost.value(cost)
  }

  private static func precedes(_ a: Entry, _ b: Entry) -> Bool { (a.key, a.unit) < (b.key, b.unit) }

  private mutating func insert(_ entry: Entry) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard Self.precedes(heap[child], heap[parent]) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func popFirst() -> Entry? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    guard !heap.isEmpty else { return first }
    heap[0] = last
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if Self.precedes(heap[child], heap[smallest]) { smallest = child }
      }
      guard smallest != parent else { return first }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }
}

extension Criterion {
  /// The score, as losses are ranked.
  func loss(of unit: PruningUnit, in model: PruningModel) -> Double {
    score(of: unit, in: model).ranked
  }
}

extension Double {
  /// Not negative; infinite where it is not a number: what cannot be told goes last.
  var ranked: Double { isNaN ? .infinity : max(0, self) }
}
