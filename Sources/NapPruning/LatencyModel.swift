package import NapGraph
import NapTensor

/// How long the nodes of a network take at some sizes, measured here or elsewhere.
package struct LatencyTable: Sendable, Equatable, Codable {
  /// A node at one size.
  package struct Entry: Sendable, Equatable, Codable {
    package var node: String
    /// Channels it reads and writes.
    package var inputs: Int
    package var outputs: Int
    /// Of one batch.
    package var nanoseconds: Double

    package init(node: String, inputs: Int, outputs: Int, nanoseconds: Double) {
      self.node = node
      self.inputs = inputs
      self.outputs = outputs
      self.nanoseconds = nanoseconds
    }
  }

  package var entries: [Entry]

  package init(_ entries: [Entry]) { self.entries = entries }
}

/// The time of a network that is being cut, predicted from a table.
///
/// The time of a node is taken to depend on its work alone: inputs times outputs where it has a
/// weight, else outputs; linearly between the sizes of the table, and below the smallest.
///
/// Where kernels compute in blocks, time goes down in steps, and the first channel of a block saves nothing
/// by itself. What a unit saves is therefore told by the largest convex curve under the table: its share of
/// the step that it is on the way to.
package struct LatencyModel: Sendable {
  private struct Point {
    var work: Double
    var nanoseconds: Double

    /// Whether it lies on or above the line between a point of less work and one of more.
    func isAbove(_ less: Point, _ more: Point) -> Bool {
      (nanoseconds - less.nanoseconds) * (more.work - less.work)
        >= (more.nanoseconds - less.nanoseconds) * (work - less.work)
    }
  }

  private struct Item {
    /// Index in the graph.
    let node: Int
    /// What the node's work is the product of: places with how many indices are left there.
    var counts: [IndexAtoms.Place: Int]
    /// Ascending by work.
    let points: [Point]
    /// Those of the points that the largest convex curve under them goes through.
    let corners: [Point]

    init(node: Int, counts: [IndexAtoms.Place: Int], points: [Point]) {
      (self.node, self.counts) = (node, counts)
      self.points = points
      var corners: [Point] = []
      for point in points {
        while corners.count > 1,
          corners[corners.count - 1].isAbove(corners[corners.count - 2], point)
        {
          corners.removeLast()
        }
        corners.append(point)
      }
      self.corners = corners
    }

    private var work: Double { counts.values.reduce(1) { $0 * Double($1) } }
    var nanoseconds: Double { Self.time(work, points) }
    /// Nanoseconds, with every unit's share of the steps.
    var worth: Double { Self.time(work, corners) }

    private static func time(_ work: Double, _ points: [Point]) -> Double {
      guard let last = points.last else { return 0 }
      guard points.count > 1 else {
        return last.work > 0 ? last.nanoseconds * work / last.work : last.nanoseconds
      }
      let upper = points.firstIndex { $0.work >= work } ?? points.count - 1
      let (a, b) = (points[max(0, upper - 1)], points[max(1, upper)])
      let share = (work - a.work) / (b.work - a.work)
      return max(0, a.nanoseconds + share * (b.nanoseconds - a.nanoseconds))
    }
  }

  private var items: [Item] = []
  private var itemsOfPlace: [IndexAtoms.Place: [Int]] = [:]
  package private(set) var nanoseconds = 0.0

  package init(_ graph: Graph, _ table: LatencyTable) throws(GraphError) {
    let shapes = try graph.shapes(batch: 1)
    let entries = Dictionary(grouping: table.entries, by: \.node)
    for (index, node) in graph.nodes.enumerated() {
      guard let entries = entries[node.name] else { continue }
      let sizes = Self.places(of: node, graph, shapes)
      let hasWeight = sizes.inputs != nil
      var points: [Point] = []
      for entry in entries {
        let work = Double(entry.outputs) * (hasWeight ? Double(entry.inputs) : 1)
        if !points.contains(where: { $0.work == work }) {
          points.append(Point(work: work, nanoseconds: entry.nanoseconds))
        }
      }
      var counts: [IndexAtoms.Place: Int] = [:]
      for place in [sizes.outputs, sizes.inputs].compactMap({ $0 }) {
        counts[place] = shapes[place.value.index][place.axis]
        itemsOfPlace[place, default: []].append(items.count)
      }
      items.append(Item(node: index, counts: counts, points: points.sorted { $0.work < $1.work }))
    }
    nanoseconds = items.reduce(0) { $0 + $1.nanoseconds }
  }

  /// Where a node's channels are counted.
  package static func places(of node: Node, _ graph: Graph, _ shapes: [[Int]]) -> (
    inputs: IndexAtoms.Place?, outputs: IndexAtoms.Place?
  ) {
    if let (op, _) = graph.affineForm(of: node, shapes) {
      return (
        IndexAtoms.Place(value: node.inputs[1], axis: op.weightInputAxis),
        IndexAtoms.Place(value: node.inputs[1], axis: op.weightOutputAxis)
      )
    }
    guard let output = node.outputs.first, shapes[output.index].count > 1 else { return (nil, nil) }
    return (nil, IndexAtoms.Place(value: output, axis: 1))
  }

  package func saving(of unit: PruningUnit) -> Double {
    affected(unit).reduce(0) { $0 + items[$1.key].worth - $1.value.worth }
  }

  package mutating func remove(_ unit: PruningUnit) {
    for (index, item) in affected(unit) {
      nanoseconds -= items[index].nanoseconds - item.nanoseconds
      items[index] = item
    }
  }

  package mutating func remove(_ branch: ResidualBranch) {
    for index in items.indices where branch.nodes.contains(items[index].node) {
      nanoseconds -= items[index].nanoseconds
      items[index] = Item(node: items[index].node, counts: [:], points: [])
    }
  }

  /// The items that change when a unit goes, as they are then.
  private func affected(_ unit: PruningUnit) -> [(key: Int, value: Item)] {
    var changed: [Int: Item] = [:]
    for (place, indices) in unit.places {
      for index in itemsOfPlace[place] ?? [] {
        changed[index, default: items[index]].counts[place]? -= indices.count
      }
    }
    return changed.sorted { $0.key < $1.key }
  }
}
