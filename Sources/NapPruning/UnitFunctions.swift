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
  private var distances: [Pair: Double] = [:]

  private struct Pair: Hashable {
    let first: Int
    let second: Int

    init(_ a: Int, _ b: Int) { (first, second) = (min(a, b), max(a, b)) }
  }

  /// - Parameters:
  ///   - sets: of units of the same layers.
  ///   - distance: of two units of a set, from 0 for the same to 1.
  init(_ sets: [[Int]], dead: Set<Int>, images: [Int: Tensor], distance: (Int, Int) -> Double) {
    (self.dead, self.images) = (dead, images)
    for set in sets {
      let units = set.filter { !dead.contains($0) }
      var matrix = Matrix(rows: units.count, columns: units.count)
      for i in units.indices {
        for k in 0..<i {
          let value = distance(units[i], units[k])
          (matrix[i, k], matrix[k, i]) = (value, value)
          distances[Pair(units[i], units[k])] = value
        }
      }
      for members in Clusters.averageLinkage(matrix) {
        for member in members { clusterOfUnit[units[member]] = clusters.count }
        clusters.append(members.map { units[$0] })
      }
    }
  }

  package func cluster(of unit: Int) -> Int? { clusterOfUnit[unit] }

  /// The units of the same cluster, but for itself, the nearest first.
  package func mates(of unit: Int) -> [(unit: Int, distance: Double)] {
    guard let cluster = clusterOfUnit[unit] else { return [] }
    return clusters[cluster].filter { $0 != unit }
      .map { ($0, distances[Pair(unit, $0)] ?? 1) }
      .sorted { ($0.1, $0.0) < ($1.1, $1.0) }
  }
}

extension PruningModel {
  /// Takes over how far apart the filters of layers are, by the first node of each.
  package func compare(_ distances: [Int: Matrix], images: [Int: Tensor] = [:]) {
    func distance(_ a: Int, _ b: Int) -> Double {
      let others = computings(of: units.units[b])
      var (sum, count) = (0.0, 0)
      for (layer, rows) in computings(of: units.units[a]) {
        guard let matrix = distances[layer.node],
          let other = others.first(where: { $0.layer === layer })
        else { continue }
        for (i, k) in zip(rows, other.rows) {
          sum += matrix[layer.filter(i), layer.filter(k)]
          count += 1
        }
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
    functions?.mates(of: unit).first { !isRemoved($0.unit) }
  }
}

extension LayerModel {
  /// The place of an output among those of all groups.
  package func filter(_ row: (group: Int, row: Int)) -> Int { row.group * shape.outputs + row.row }
}
