import NapGraph
import NapPruning
import NapSearch

/// The trained network's own weights: the units that the criterion keeps least are gone, and the others make up
/// for them. Nothing is trained.
struct CompensatedWeights: WeightProvider {
  let model: PruningModel
  let criterion: any Criterion
  let space: WidthSpace

  func network(_ widths: [Int]) throws -> Graph {
    let copy = model.copy()
    var selection = UnitSelection(
      copy, criterion: criterion, cost: space.cost, keeping: space.goals(of: widths))
    while selection.removeNext() {}
    return try copy.results().cut
  }
}
