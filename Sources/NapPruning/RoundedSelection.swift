extension PruningModel {
  /// The ranking of all units by what they cost, one by one or in bundles.
  package func ranking(by criterion: any Criterion, _ cost: Cost, _ rounding: Rounding)
    -> any ChannelSelection
  {
    rounding == .single
      ? UnitSelection(self, criterion: criterion, cost: cost)
      : RoundedSelection(self, criterion: criterion, cost: cost, rounding: rounding)
  }
}

/// Removes units in bundles, so that what is left of every set of channels is a multiple of some
/// number: hardware computes in blocks.
///
/// A bundle is the cheapest units of its set, by score; sets with no more channels than the number stay
/// as they are.
package struct RoundedSelection: ChannelSelection {
  private let model: PruningModel
  private let criterion: any Criterion
  private let cost: Cost
  private let rounding: Rounding
  private var sets: [Candidates]
  package private(set) var removedLoss = 0.0

  private struct Candidates {
    /// Units that are left.
    var units: [Int]
    var bundle: [Int] = []
    /// Score and saving of the bundle; `nil` when none may go.
    var worth: (score: Double, saving: Double)?
    /// `PruningModel.changes` at the time that was computed.
    var time = -1

    func key(saving needed: Double) -> Double? { worth.map { $0.score / min($0.saving, needed) } }
  }

  package init(_ model: PruningModel, criterion: any Criterion, cost: Cost, rounding: Rounding) {
    (self.model, self.criterion, self.cost, self.rounding) = (model, criterion, cost, rounding)
    sets = model.units.sets.map { Candidates(units: $0) }
    for index in sets.indices { refresh(index) }
  }

  private mutating func refresh(_ index: Int) {
    let units = sets[index].units
    guard let first = units.first else { return }
    let multiple = rounding.multiple(
      of: units.count, channels: model.units.units[first].channels)
    let count = units.count % multiple == 0 ? multiple : units.count % multiple
    sets[index].time = model.changes
    sets[index].worth = nil
    guard units.count > multiple else { return }
    let scored = units.map { (criterion.loss(of: model.units.units[$0], in: model), $0) }
    let bundle = scored.sorted { $0 < $1 }.prefix(count)
    let chosen = bundle.map { model.units.units[$0.1] }
    guard model.mayRemove(chosen) else { return }
    let saving = chosen.reduce(0) { $0 + model.cost.saving(of: $1, cost) }
    guard saving > 0 else { return }
    sets[index].bundle = bundle.map(\.1)
    sets[index].worth = (bundle.reduce(0) { $0 + $1.0 }, saving)
  }

  package var nextLoss: Double? {
    let next = sets.filter { $0.worth != nil }.min {
      ($0.key(saving: .infinity) ?? .infinity) < ($1.key(saving: .infinity) ?? .infinity)
    }
    return next.flatMap { next in
      next.worth.map { $0.score / Double(max(1, next.bundle.count)) }
    }
  }

  package mutating func nextKey(saving needed: Double) -> Double? {
    next(saving: needed).flatMap { sets[$0].key(saving: needed) }
  }

  package mutating func removeNext(saving needed: Double) -> Bool {
    guard let best = next(saving: needed) else { return false }
    removedLoss += sets[best].worth?.score ?? 0
    let bundle = Set(sets[best].bundle)
    for unit in sets[best].bundle {
      model.remove(unit, compensating: type(of: criterion).compensates)
    }
    sets[best].units.removeAll(where: bundle.contains)
    refresh(best)
    return true
  }

  /// The set whose bundle goes next, scored as the network is now.
  private mutating func next(saving needed: Double) -> Int? {
    while true {
      let keys = sets.indices.compactMap { index in
        sets[index].key(saving: needed).map { ($0, index) }
      }
      guard let (_, best) = keys.min(by: <) else { return nil }
      guard sets[best].time < model.changes else { return best }
      refresh(best)
    }
  }
}
