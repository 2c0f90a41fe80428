import NapEngine
import NapGraph
import NapPruning
import NapTensor

/// The units of every set, those that are kept the longest first: of a width, so many of them.
struct UnitOrder {
  private let sets: [[PruningUnit]]

  /// By a criterion's scores in the whole network.
  init(_ model: PruningModel, _ criterion: any Criterion) {
    let units = model.units.units
    sets = model.units.sets.map { set in
      set.map { (score: criterion.score(of: units[$0], in: model), unit: $0) }
        .sorted { ($1.score, $0.unit) < ($0.score, $1.unit) }
        .map { units[$0.unit] }
    }
  }

  /// What is not there at some widths: indices by axis, ascending.
  func gone(at widths: [Int]) -> [IndexAtoms.Place: [Int]] {
    PruningUnit.joined(zip(sets, widths).flatMap { $0[min($1, $0.count)...] }).places
      .mapValues { $0.sorted() }
  }
}

/// Zeros for what is not there at some widths, in parameters that a plan computes with, and what was there before:
/// nothing is compiled anew for another width.
final class WidthMask {
  private let parameters: Parameters
  private let shapes: [ValueID: [Int]]
  private var saved: [(pointer: UnsafeMutablePointer<Float>, number: Float)] = []

  init(_ graph: Graph, _ parameters: Parameters) {
    self.parameters = parameters
    shapes = graph.constants.filter { parameters.contains($0.key) }.mapValues(\.shape)
  }

  /// Masks; what a training then does to what is masked is undone by `lift`.
  func apply(_ gone: [IndexAtoms.Place: [Int]]) {
    for (place, indices) in gone {
      guard let role = parameters.roles[place.value], role != .statistic,
        let shape = shapes[place.value]
      else { continue }
      let base = parameters.pointer(place.value)
      let inner = shape[(place.axis + 1)...].product
      for outer in 0..<shape[..<place.axis].product {
        for index in indices {
          let start = base + (outer * shape[place.axis] + index) * inner
          for pointer in start..<start + inner {
            saved.append((pointer, pointer.pointee))
            // Zeros divided by zeros would be no numbers.
            pointer.pointee = role == .divisor ? 1 : 0
          }
        }
      }
    }
  }

  /// Puts back what was there: of numbers that were masked twice, the first.
  func lift() {
    for (pointer, number) in saved.reversed() { pointer.pointee = number }
    saved = []
  }
}
