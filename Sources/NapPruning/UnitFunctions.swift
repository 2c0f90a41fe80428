import NapGraph
package import NapKernels
package import NapTensor

/// Which units of a network do what others do.
package struct UnitFunctions: Sendable {
  /// Of units of the same layers, by index; those that never fire are in none.
  package private(set) var clusters: [[Int]] = []
  /// Units that never fire.
  package private(set) var dead: Set<Int> = []
  /// What every filter answers most to, `[filters, …]`, by the first node of a layer; for the report.
  package private(set) var images: [Int: Tensor]
  private var clusterOfUnit: [Int: Int] = [:]
  /// Of the units of a set, and where a unit stands among them.
  private var distances: [Matrix] = []
  private var places: [Int: (set: Int, index: Int)] = [:]

  /// - Parameters:
  ///   - sets: of units of the same layers.
  ///   - distance: of two units of a set, from 0 for the same to 1.
  init(
    _ sets: [[Int]], dead: Set<Int>, images: [Int: Tensor], distance: (Int, Int) -> Double
  ) {
    (self.dead, self.images) = (dead, images)
    for set in sets {
      let units = set.filter { !dead.contains($0) }
      var matrix = Matrix(rows: units.count, columns: units.count)
      for i in units.indices {
        places[units[i]] = (distances.count, i)
        for k in 0..<i {
          let value = distance(units[i], units[k])
          (matrix[i, k], matrix[k, i]) = (value, value)
        }
      }
      distances.append(matrix)
      for members in Clusters.averageLinkage(matrix) {
        for member in members { clusterOfUnit[units[member]] = clusters.count }
        clusters.append(members.map { units[$0] })
      }
    }
  }

  package func cluster(of unit: Int) -> Int? { clusterOfUnit[unit] }

  /// The nearest unit of the same cluster of those that may be; `nil` where there is none.
  func nearest(to unit: Int, _ mayBe: (Int) -> Bool) -> (unit: Int, distance: Double)? {
    guard let cluster = clusterOfUnit[unit], let place = places[unit] else { return nil }
    let others = clusters[cluster].filter { $0 != unit && mayBe($0) }
      .compactMap { other in
        places[other].map { (other, distances[place.set][place.index, $0.index]) }
      }
    return others.min { ($0.1, $0.0) < ($1.1, $1.0) }
  }
}

extension PruningModel {
  /// Takes over how far apart the filters of layers are, by the first node of each.
  package func compare(_ distances: [Int: Matrix], images: [Int: Tensor] = [:]) {
    let filters = units.units.map { unit in
      computings(of: unit).filter { distances[$0.layer.node] != nil }
        .map { ($0.layer.node, $0.rows.map($0.layer.filter)) }
    }
    func distance(_ a: Int, _ b: Int) -> Double {
      var (sum, count) = (0.0, 0)
      // Units of a set are computed by the same layers.
      for ((node, own), (other, others)) in zip(filters[a], filters[b]) where node == other {
        guard let matrix = distances[node] else { continue }
        for (i, k) in zip(own, others) { sum += matrix[i, k] }
        count += min(own.count, others.count)
      }
      return count > 0 ? sum / Double(count) : 1
    }
    let dead = units.units.indices.filter { neverFires(units.units[$0]) }
    functions = UnitFunctions(units.sets, dead: Set(dead), images: images, distance: distance)
  }

  /// Whether no reader has ever seen anything of a unit.
  package func neverFires(_ unit: PruningUnit) -> Bool {
    let readings = readings(of: unit)
    return !readings.isEmpty
      && readings.allSatisfy { layer, group, columns in
        !layer.inputMoments.isEmpty && columns.allSatisfy { layer.inputMoments[group][$0] <= 0 }
      }
  }

  /// The unit that is nearest to another one of those of its cluster that are left; `nil` where there is
  /// none.
  package func successor(of unit: Int) -> (unit: Int, distance: Double)? {
    functions?.nearest(to: unit) { !isRemoved($0) }
  }
}

extension LayerModel {
  /// The place of an output among those of all groups.
  package func filter(_ row: (group: Int, row: Int)) -> Int { row.group * shape.outputs + row.row }
}
