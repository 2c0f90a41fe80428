import NapGraph
import NapTensor

/// Tells along which axis of a network's outputs meanings differ.
final class ChannelAxes {
  private var atoms: IndexAtoms
  /// Roots of the atoms that features of layers with weights are.
  private var features: Set<Int> = []

  /// `nil` for a graph whose shapes do not fit.
  init?(_ graph: Graph) {
    guard let atoms = try? IndexAtoms(graph) else { return nil }
    self.atoms = atoms
    for layer in graph.affineLayers(shapes: atoms.shapes) {
      let place = IndexAtoms.Place(value: layer.node.inputs[1], axis: layer.op.weightOutputAxis)
      for index in 0..<layer.weight.shape[layer.op.weightOutputAxis] {
        features.insert(self.atoms.find(self.atoms.atom(place, index)))
      }
    }
  }

  /// The axis of features, as the layers before have it; else the shorter one of a list of vectors,
  /// or the first.
  ///
  /// - Parameter shape: of one example.
  func axis(of value: ValueID, _ shape: [Int]) -> Int {
    guard shape.count > 1 else { return 0 }
    var tied: [Int] = []
    for (axis, size) in shape.enumerated() where size > 1 {
      let place = IndexAtoms.Place(value: value, axis: axis + 1)
      let isTied = (0..<size).contains { features.contains(atoms.find(atoms.atom(place, $0))) }
      if isTied { tied.append(axis) }
    }
    if tied.count == 1 { return tied[0] }
    return shape.count == 2 && shape[1] < shape[0] ? 1 : 0
  }
}
