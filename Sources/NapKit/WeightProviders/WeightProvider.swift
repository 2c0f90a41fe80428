import NapGraph

/// Gives networks of any widths weights with which they can be compared before they are trained.
protocol WeightProvider {
  /// The network cut to some widths, its normalizations' statistics as they were.
  func network(_ widths: [Int]) throws -> Graph
}
