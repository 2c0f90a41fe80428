import NapTensor

extension Dataset {
  /// Those examples, kept as numbers, whose largest number is largest, the largest first: where a network's values
  /// overflow, they do so there. None where images are bytes, of which none is far.
  package func examplesFurthestFromZero(_ count: Int) throws -> [Int] {
    var numbers = [Float](repeating: 0, count: imageShape.product)
    var peaks: [(size: Float, index: Int)] = []
    for index in 0..<self.count {
      guard try copyNumbers(of: index, into: &numbers) else { return [] }
      peaks.append((numbers.reduce(0) { max($0, abs($1)) }, index))
    }
    return peaks.sorted { ($1.size, $0.index) < ($0.size, $1.index) }.prefix(count).map(\.index)
  }
}
