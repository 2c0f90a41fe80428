package import NapGraph
import NapTensor

/// The input under a shape that is known before running.
package struct Reshape: ReshapingOperator, BatchDependentOperator {
  package static let name = "Reshape"

  /// The sizes of the output; -1, once at most, stands for what is left, and 0 for the size of
  /// the input at the same position unless `allowsZero`.
  package var target: [Int]
  /// Whether 0 means an empty axis.
  package var allowsZero: Bool
  /// The shape of the input that `target` was read for; tells `merged` which sizes are copied.
  private var probe: [Int]?

  package init(target: [Int], allowsZero: Bool = false) {
    self.target = target
    self.allowsZero = allowsZero
  }

  /// The reshape of an input of a known shape, which tells `merged` which sizes are copied.
  init(target: [Int], of shape: [Int]) {
    self.init(target: target)
    probe = shape
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let target = try node.ints("shape", orInput: 1) else {
      throw OperatorError("the target shape (input 1) is missing")
    }
    var reshape = Reshape(target: target, allowsZero: try node.int("allowzero", default: 0) != 0)
    reshape.probe = try node.shape(ofInput: 0)
    return try ImportedOperator(reshape, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name, attributes: allowsZero ? ["allowzero": .int(1)] : [:], constants: [1: Tensor(target)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let total = try inputs[0].checkedElementCount()
    var result = target
    for (position, size) in target.enumerated() where size == 0 && !allowsZero {
      guard position < inputs[0].count else {
        throw OperatorError("target \(target) copies axis \(position), which \(inputs[0]) lacks")
      }
      result[position] = inputs[0][position]
    }
    let mismatch = OperatorError("cannot reshape \(inputs[0]) to \(target)")
    if let hole = result.firstIndex(of: -1) {
      result[hole] = 1
      let rest = try result.checkedElementCount()
      guard rest > 0, total % rest == 0 else { throw mismatch }
      result[hole] = total / rest
    }
    guard try result.checkedElementCount() == total else { throw mismatch }
    return [result]
  }

  package func adapted(to cut: NodeCut) -> Reshape {
    let (input, output) = (cut.newInputShapes[0], cut.newOutputShapes[0])
    guard input != cut.inputShapes[0] || output != cut.outputShapes[0] else { return self }
    var result = self
    for (position, size) in target.enumerated() where size != -1 {
      let isCopied = size == 0 && !allowsZero && input[position] == output[position]
      if !isCopied { result.target[position] = output[position] }
    }
    return result
  }
}

extension Reshape {
  /// The reshape that is this one for one batch size and `other` for another.
  ///
  /// A size that differs is copied from the input where both read it there, and is otherwise
  /// what is left.
  ///
  /// - Returns: `nil` when no single target does for both.
  package func merged(with other: Reshape) -> Reshape? {
    guard target.count == other.target.count, allowsZero == other.allowsZero else { return nil }
    var result = self
    result.probe = nil
    for position in target.indices where target[position] != other.target[position] {
      let isCopied = copiesSize(at: position) && other.copiesSize(at: position)
      if isCopied, !(allowsZero && target.contains(0)) {
        result.target[position] = 0
        result.allowsZero = false
      } else if !result.target.contains(-1) {
        result.target[position] = -1
      } else {
        return mergedWithoutHole(other)
      }
    }
    return result
  }

  /// The same where -1 stands for a number that both know: its place is for what is not known.
  private func mergedWithoutHole(_ other: Reshape) -> Reshape? {
    guard let hole = target.firstIndex(of: -1), other.target.firstIndex(of: -1) == hole,
      let size = inferred(at: hole), size == other.inferred(at: hole)
    else { return nil }
    var (first, second) = (self, other)
    first.target[hole] = size
    second.target[hole] = size
    return first.merged(with: second)
  }

  private func inferred(at position: Int) -> Int? {
    probe.flatMap { try? infer([$0]) }?[0][position]
  }

  private func copiesSize(at position: Int) -> Bool {
    guard let probe, position < probe.count else { return false }
    return probe[position] == target[position]
  }
}
