package import NapGraph
package import NapKernels
import NapTensor

/// `min(upper, max(lower, x))`.
package struct Clip: KernelElementwiseOperator {
  package static let name = "Clip"

  /// ONNX's `min`.
  package var lower: Float?
  /// ONNX's `max`.
  package var upper: Float?

  package init(lower: Float? = nil, upper: Float? = nil) {
    self.lower = lower
    self.upper = upper
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let clip = Clip(
      lower: try bound("min", orInput: 1, of: node), upper: try bound("max", orInput: 2, of: node))
    return try ImportedOperator(clip, of: node)
  }

  private static func bound(_ key: String, orInput index: Int, of node: NodeDescription)
    throws(OperatorError) -> Float?
  {
    if node.attributes[key] != nil { return try node.float(key, default: 0, orInfinite: true) }
    guard let tensor = try node.constant(ofInput: index, key) else { return nil }
    guard tensor.isFloat else { throw OperatorError("clipping integers is not supported") }
    guard tensor.count == 1 else {
      throw OperatorError("\(key) (input \(index)) is not one number")
    }
    guard !tensor.floats[0].isNaN else {
      throw OperatorError("\(key) (input \(index)) is NaN, which bounds nothing")
    }
    return tensor.floats[0]
  }

  package func exported() -> ExportedOperator {
    let bounds = [1: lower, 2: upper].compactMapValues { bound in
      bound.map { Tensor(shape: [], floats: [$0]) }
    }
    return ExportedOperator(name, constants: bounds)
  }

  package func value(_ x: Double) -> Double {
    var y = x
    if let lower, y < Double(lower) { y = Double(lower) }
    if let upper, y > Double(upper) { y = Double(upper) }
    return y
  }

  package func derivative(_ x: Double, _ y: Double) -> Double {
    let isInside = lower.map { x > Double($0) } ?? true && upper.map { x < Double($0) } ?? true
    return isInside ? 1 : 0
  }

  package var activation: Activation? {
    let (lower, upper) = (lower ?? -.infinity, upper ?? .infinity)
    // The other way round, which ONNX allows, no kernel has them.
    return lower <= upper ? .clip(lower: lower, upper: upper) : nil
  }
}
