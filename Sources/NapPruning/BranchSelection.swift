/// Removes whole residual branches beside units, whatever costs the least loss for what it saves.
///
/// As long as a layer is there it takes time, however narrow it is; a branch that is gone takes none.
package struct BranchSelection: ChannelSelection {
  private let model: PruningModel
  private let cost: Cost
  private let compensates: Bool
  private let weight: Double
  private var units: any ChannelSelection
  private var candidates: [Candidate] = []
  private var lostByBranches = 0.0

  private struct Candidate {
    var branch: Int
    var loss: Double
    var saving: Double
    /// `PruningModel.changes` at the time they were computed.
    var time: Int

    func key(saving needed: Double) -> Double { loss / min(saving, needed) }
  }

  /// - Parameters:
  ///   - units: of the same model and cost, by a criterion that tells losses.
  ///   - compensates: whether that criterion's removals are compensated for.
  ///   - weight: what a branch's loss counts beside that of units.
  package init(
    _ model: PruningModel, cost: Cost, beside units: any ChannelSelection, compensates: Bool,
    weight: Double = 1
  ) {
    (self.model, self.cost, self.units, self.compensates) = (model, cost, units, compensates)
    self.weight = weight
    candidates = model.branches.indices.compactMap { candidate($0) }
  }

  /// `nil` where the branch may not go, or saves nothing.
  private func candidate(_ branch: Int) -> Candidate? {
    guard model.mayRemove(branch: branch) else { return nil }
    let saving = model.cost.saving(of: model.branches[branch], cost)
    guard saving > 0 else { return nil }
    return Candidate(
      branch: branch, loss: model.loss(ofBranch: branch).ranked, saving: saving,
      time: model.changes)
  }

  package var removedLoss: Double { units.removedLoss + lostByBranches }
  package var nextLoss: Double? { units.nextLoss }

  package mutating func nextKey(saving needed: Double) -> Double? {
    let branch = cheapest(saving: needed).map { weight * $0.key(saving: needed) }
    return [units.nextKey(saving: needed), branch].compactMap { $0 }.min()
  }

  package mutating func removeNext(saving needed: Double) -> Bool {
    guard let branch = cheapest(saving: needed),
      weight * branch.key(saving: needed) < units.nextKey(saving: needed) ?? .infinity
    else { return units.removeNext(saving: needed) }
    model.remove(branch: branch.branch, compensating: compensates)
    candidates.removeAll { $0.branch == branch.branch }
    lostByBranches += branch.loss
    return true
  }

  /// Scored as the network is now.
  private mutating func cheapest(saving needed: Double) -> Candidate? {
    while let place = candidates.indices.min(by: {
      candidates[$0].key(saving: needed) < candidates[$1].key(saving: needed)
    }) {
      guard candidates[place].time < model.changes else { return candidates[place] }
      if let fresh = candidate(candidates[place].branch) {
        candidates[place] = fresh
      } else {
        candidates.remove(at: place)
      }
    }
    return nil
  }
}
