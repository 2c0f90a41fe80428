import NapGraph
import NapPruning
import NapSearch

/// The trained network's own weights: the units that the criterion keeps least are gone, and the others make up
/// for them. Nothing is trained.
struct CompensatedWeights: WeightProvider {
  let model: PruningModel
  let criterion: any Criterion
  let space: WidthSpace

  func network(_ widths: [Int]) throws -> Graph { try pruned(to: widths).model.results().cut }

  /// The sum of what the criterion said of every unit when it went.
  func predictedLoss(of widths: [Int]) -> Double { pruned(to: widths).loss }

  private func pruned(to widths: [Int]) -> (model: PruningModel, loss: Double) {
    let copy = model.copy()
    var selection = UnitSelection(
      copy, criterion: criterion, cost: space.cost, keeping: space.goals(of: widths))
    while selection.removeNext() {}
    return (copy, selection.removedLoss)
  }
}
