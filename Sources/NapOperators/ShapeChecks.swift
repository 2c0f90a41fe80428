import NapGraph
import NapTensor

extension [[Int]] {
  /// Checks that there are `expected` shapes and that each can be counted without overflow.
  func check(count expected: Int) throws(OperatorError) {
    guard count == expected else {
      throw OperatorError("takes \(expected) inputs, \(count) were given")
    }
    for shape in self { try shape.checkedElementCount() }
  }
}

extension [Int] {
  /// The number of elements of a tensor of this shape, see `elementCount`.
  @discardableResult
  func checkedElementCount() throws(OperatorError) -> Int {
    guard let elementCount else { throw OperatorError("shape \(self) is not a valid size") }
    return elementCount
  }
}

extension Int {
  /// The axis this number names, negative ones counting from the end.
  func axis(ofRank rank: Int) throws(OperatorError) -> Int {
    guard self >= -rank, self < rank else {
      throw OperatorError("axis \(self) does not exist in a tensor with \(rank) axes")
    }
    return self < 0 ? self + rank : self
  }
}

extension [Int] {
  /// The distinct axes these numbers name, in the order given.
  func axes(ofRank rank: Int) throws(OperatorError) -> [Int] {
    var axes: [Int] = []
    for number in self {
      let axis = try number.axis(ofRank: rank)
      guard !axes.contains(axis) else { throw OperatorError("axis \(number) is named twice") }
      axes.append(axis)
    }
    return axes
  }
}

extension ImportedOperator {
  /// An operator that takes the first `count` inputs of the node, all of which must be there.
  init(_ op: any Operator, first count: Int = 1, of node: NodeDescription) throws(OperatorError) {
    for index in 0..<count { _ = try node.shape(ofInput: index) }
    self.init(op, inputs: Array(0..<count))
  }
}

extension Operator {
  /// The output shapes of inputs that have been inferred before.
  func inferred(_ inputs: [Tensor]) -> [[Int]] {
    do {
      return try infer(inputs.map(\.shape))
    } catch {
      preconditionFailure("\(name) was run on shapes it refuses: \(error.problem)")
    }
  }
}
