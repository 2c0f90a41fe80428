/// A symmetric matrix of square blocks along its diagonal and zeros elsewhere.
package struct BlockDiagonalMatrix: Sendable, Equatable, Codable {
  package var blocks: [Matrix]
  /// Where each block begins, and where the last one ends.
  package let bounds: [Int]

  package init(_ blocks: [Matrix]) {
    self.blocks = blocks
    bounds = blocks.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.rows) }
  }

  package init(_ matrix: Matrix) { self.init([matrix]) }

  package var size: Int { bounds[bounds.count - 1] }

  package func range(_ block: Int) -> Range<Int> { bounds[block]..<bounds[block + 1] }

  package var trace: Double { blocks.reduce(0) { $0 + $1.trace } }

  package func diagonal(_ index: Int) -> Double {
    let block = block(of: index)
    return blocks[block][index - bounds[block], index - bounds[block]]
  }

  package var diagonal: [Double] { blocks.flatMap(\.diagonal) }

  package func block(of index: Int) -> Int {
    // There are few blocks.
    (bounds.firstIndex { $0 > index } ?? bounds.count) - 1
  }

  /// Indices by block, counted from where the block begins.
  package func split(_ indices: [Int]) -> [(block: Int, local: [Int])] {
    if blocks.count == 1 { return [(0, indices)] }
    return Dictionary(grouping: indices, by: block).sorted { $0.key < $1.key }
      .map { block, indices in (block, indices.map { $0 - bounds[block] }) }
  }

  /// Every block through `transform`; `nil` where it has none for one of them.
  package func mapBlocks(_ transform: (Matrix) -> Matrix?) -> BlockDiagonalMatrix? {
    let results = blocks.compactMap(transform)
    return results.count == blocks.count ? BlockDiagonalMatrix(results) : nil
  }

  package static func * (a: Matrix, b: BlockDiagonalMatrix) -> Matrix {
    if b.blocks.count == 1 { return a * b.blocks[0] }
    var result = Matrix(rows: a.rows, columns: a.columns)
    for (block, matrix) in b.blocks.enumerated() {
      let range = b.range(block)
      result.add(a.selecting(columns: Array(range)), matrix, factor: 1, columns: range)
    }
    return result
  }

  /// With the zeros written out.
  package var dense: Matrix {
    var result = Matrix(rows: size, columns: size)
    for (block, matrix) in blocks.enumerated() {
      let first = bounds[block]
      for i in 0..<matrix.rows {
        for j in 0..<matrix.columns { result[first + i, first + j] = matrix[i, j] }
      }
    }
    return result
  }
}
