/// Offsets of buffers in one arena, such that buffers alive at the same time never overlap.
///
/// Greedy by size: the largest first, each at the lowest offset that is free for its whole life.
package struct MemoryPlan: Sendable {
  package struct Lifetime: Sendable {
    package var bytes: Int
    /// The first and last step that touch the buffer.
    package var first: Int
    package var last: Int

    package init(bytes: Int, first: Int, last: Int) {
      self.bytes = bytes
      self.first = first
      self.last = last
    }
  }

  /// By buffer, in the order given.
  package private(set) var offsets: [Int]
  package private(set) var arenaBytes = 0

  package init(_ lifetimes: [Lifetime]) {
    let alignment = 256
    offsets = [Int](repeating: 0, count: lifetimes.count)
    var placed: [(offset: Int, end: Int, first: Int, last: Int)] = []
    let order = lifetimes.indices.sorted {
      (-lifetimes[$0].bytes, lifetimes[$0].first, $0) < (
        -lifetimes[$1].bytes, lifetimes[$1].first, $1
      )
    }
    for index in order {
      let life = lifetimes[index]
      let size = (life.bytes + alignment - 1) / alignment * alignment
      var offset = 0
      for other in placed where other.first <= life.last && life.first <= other.last {
        if offset + size <= other.offset { break }
        offset = max(offset, other.end)
      }
      offsets[index] = offset
      arenaBytes = max(arenaBytes, offset + size)
      let entry = (offset, offset + size, life.first, life.last)
      placed.insert(entry, at: placed.firstIndex { $0.offset > offset } ?? placed.count)
    }
  }
}
