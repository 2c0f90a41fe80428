import NapTensor

/// Texts whose targets are their own tokens, one position further on.
package struct NextTokens: DerivedDataset {
  package let base: any Dataset
  package let targets: [Field]

  /// - Throws: `DataError` when the first input is no row of tokens.
  package init(_ base: any Dataset) throws {
    let input = base.inputs[0]
    guard input.isInteger, input.shape.count == 1, input.count > 1 else {
      throw DataError.undecodable(
        path: input.description, reason: "the next token needs rows of whole numbers as input")
    }
    self.base = base
    var tokens = [Float](repeating: 0, count: input.count)
    var largest: Float = 0
    for index in 0..<base.count {
      try base.copyInput(0, of: index, into: &tokens)
      largest = max(largest, tokens.max() ?? 0)
    }
    targets = [Field(name: "next token", shape: input.shape, isInteger: true, range: -1...largest)]
  }

  package let classNames: [String] = []
  package func label(at index: Int) -> Int { 0 }

  /// Of the last token nobody knows what follows.
  package func copyTarget(_ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>)
    throws
  {
    let count = base.inputs[0].count
    try base.copyInput(0, of: index, into: numbers)
    for i in 1..<count { numbers[i - 1] = numbers[i] }
    numbers[count - 1] = -1
  }
}
