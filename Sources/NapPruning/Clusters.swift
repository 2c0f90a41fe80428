import NapKernels

/// Groups of things that are near to each other: average linkage, cut where the mean silhouette is best.
///
/// Without any start to choose and without a number to give, so that the same distances always make the
/// same clusters.
///
/// - Source: Sokal & Michener 1958; Rousseeuw 1987.
enum Clusters {
  /// Clusters in order of their first members, by their distances `[n, n]`, symmetric.
  static func averageLinkage(_ distances: Matrix) -> [[Int]] {
    let count = distances.rows
    guard count > 2 else { return (0..<count).map { [$0] }.merged(ifNear: distances) }
    var clusters = (0..<count).map { [$0] }
    // Sums of the distances between the members of two clusters.
    var sums = distances
    var best = (score: Self.leastSilhouette, clusters: clusters)
    while clusters.count > 2 {
      var nearest = (distance: Double.infinity, i: 0, k: 0)
      for i in clusters.indices {
        for k in 0..<i {
          let (a, b) = (clusters[i], clusters[k])
          let distance = sums[a[0], b[0]] / Double(a.count * b.count)
          if distance < nearest.distance { nearest = (distance, i, k) }
        }
      }
      let (from, into) = (nearest.i, nearest.k)
      // What has nothing in common is no cluster.
      guard nearest.distance < 1 else { break }
      let (gone, kept) = (clusters[from][0], clusters[into][0])
      for other in clusters.map({ $0[0] }) where other != gone && other != kept {
        sums[kept, other] += sums[gone, other]
        sums[other, kept] = sums[kept, other]
      }
      clusters[into] += clusters[from]
      clusters.remove(at: from)
      let score = silhouette(clusters, distances)
      if score > best.score { best = (score, clusters) }
    }
    return best.clusters.map { $0.sorted() }.sorted { $0[0] < $1[0] }
  }

  /// Below, things are as near to other clusters as to their own.
  private static let leastSilhouette = 0.0

  /// The mean of `(b - a) / max(a, b)`, with the mean distance `a` to the others of the own cluster and
  /// `b` to those of the next one; 0 for what is alone.
  static func silhouette(_ clusters: [[Int]], _ distances: Matrix) -> Double {
    func mean(_ i: Int, _ members: [Int], _ count: Int) -> Double {
      members.reduce(0) { $0 + distances[i, $1] } / Double(max(1, count))
    }
    var sum = 0.0
    for (own, members) in clusters.enumerated() where members.count > 1 {
      for i in members {
        let a = mean(i, members, members.count - 1)
        let b =
          clusters.indices.filter { $0 != own }
          .map { mean(i, clusters[$0], clusters[$0].count) }.min() ?? 1
        sum += max(a, b) > 0 ? (b - a) / max(a, b) : 0
      }
    }
    return sum / Double(distances.rows)
  }
}

extension [[Int]] {
  /// One of two that are nearer to each other than to something half unlike.
  fileprivate func merged(ifNear distances: Matrix) -> [[Int]] {
    count == 2 && distances[0, 1] < 0.5 ? [self[0] + self[1]] : self
  }
}
