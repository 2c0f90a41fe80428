import Foundation
import NapGraph
import NapTensor

/// Folding in the precision and range that the file declares.
///
/// Sizes are computed in double precision and rounded at the end, where the last bit decides about
/// a pixel; a whole number that its type does not hold is no size at all.
extension Folding {
  /// What a registered operator makes of constants in double precision; `nil` where none of them is
  /// so precise, or nap knows the operator in single precision only.
  static func doubles(
    of op: any Operator, _ node: NodeDescription, _ inputs: [Tensor]
  ) throws(OperatorError) -> [Tensor]? {
    if op.name == "Cast" { return makesDoubles(node) ? [inputs[0].inDoublePrecision] : nil }
    guard inputs.contains(where: { $0.doubles != nil }) else { return nil }
    if moving.contains(op.name) { return op.forward(inputs.map(\.bits)).map(\.doublesOfBits) }
    if inputs.count == 1, let function = ofOne[op.name] {
      return [Tensor(shape: inputs[0].shape, doubles: inputs[0].reals.map(function))]
    }
    guard inputs.count == 2, let function = ofTwo[op.name] else { return nil }
    let (a, b) = try broadcast(inputs[0], inputs[1])
    return [Tensor(shape: a.shape, isDouble: true) { function(a.real($0), b.real($0)) }]
  }

  private static func makesDoubles(_ node: NodeDescription) -> Bool {
    guard node.operatorType == "CastLike" else {
      return node.attributes["to"] == .int(ONNXTensorProto.DataType.double.rawValue)
    }
    return node.hasInput(1) && node.inputs[1]?.constant?.doubles != nil
  }

  /// Registered operators that give elements of their inputs, whatever those are.
  private static let moving: Set<String> = [
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze", "Where",
  ]

  private static let ofOne: [String: @Sendable (Double) -> Double] = [
    "Abs": { abs($0) }, "Exp": { exp($0) }, "Log": { log($0) }, "Neg": { -$0 },
    "Reciprocal": { 1 / $0 }, "Sqrt": { $0.squareRoot() },
  ]

  private static let ofTwo: [String: @Sendable (Double, Double) -> Double] = [
    "Add": { $0 + $1 }, "Div": { $0 / $1 }, "Mul": { $0 * $1 }, "Pow": { pow($0, $1) },
    "Sub": { $0 - $1 },
  ]

  /// Refuses whole numbers that their type does not hold: runtimes wrap them without a word.
  ///
  /// - Parameters:
  ///   - op: the name of the operator that gave the results.
  ///   - inputs: of the operator, if it is a registered one.
  static func checkRange(
    of results: [Tensor], _ op: String, _ inputs: [Tensor]
  ) throws(OperatorError) {
    for result in results where !result.isFloat {
      let fits =
        try result.elementType == .int32
        ? result.integers.allSatisfy { Int32(exactly: $0) != nil }
        : !isWrapped(result, op, inputs)
      guard fits else {
        throw OperatorError(
          "its result is beyond the range of \(result.elementType.rawValue) numbers",
          recovery: "see which sizes the network computes from the constants that it reads")
      }
    }
  }

  /// Whether arithmetic has another result: by multiples of 2⁶⁴, which no rounding hides.
  private static func isWrapped(
    _ result: Tensor, _ op: String, _ inputs: [Tensor]
  ) throws(OperatorError) -> Bool {
    guard result.elementType == .int64 else { return false }
    if ["Abs", "Neg"].contains(op) { return inputs.contains { $0.integers.contains(.min) } }
    guard ["Add", "Mul", "Pow", "Sub"].contains(op), inputs.count == 2, let function = ofTwo[op]
    else { return false }
    let (a, b) = try broadcast(inputs[0], inputs[1])
    return result.integers.indices.contains { i in
      let exact = function(Double(a.integers[i]), Double(b.integers[i]))
      return abs(exact - Double(result.integers[i])) > 0x1p32
    }
  }
}

extension Tensor {
  /// A tensor of floats that are computed one by one, and rounded where they are not doubles.
  init(shape: [Int], isDouble: Bool, _ element: (Int) -> Double) {
    if isDouble {
      self.init(shape: shape, doubles: (0..<shape.product).map { element($0) })
    } else {
      self.init(shape: shape, floats: (0..<shape.product).map { Float(element($0)) })
    }
  }

  /// An element of a tensor of floats, as precise as it is known.
  func real(_ index: Int) -> Double { doubles?[index] ?? Double(floats[index]) }

  /// Doubles as whole numbers of the same bits.
  fileprivate var bits: Tensor {
    Tensor(shape: shape, integers: reals.map { Int64(bitPattern: $0.bitPattern) })
  }

  fileprivate var doublesOfBits: Tensor {
    Tensor(
      shape: shape, doubles: integers.map { Double(bitPattern: UInt64(bitPattern: $0)) })
  }
}
