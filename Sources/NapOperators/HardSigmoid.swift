package import NapGraph
import NapTensor

/// `min(1, max(0, slope · x + offset))`.
package struct HardSigmoid: ElementwiseOperator {
  package static let name = "HardSigmoid"

  /// ONNX's `alpha`.
  package var slope: Float
  /// ONNX's `beta`.
  package var offset: Float

  package init(slope: Float = 0.2, offset: Float = 0.5) {
    self.slope = slope
    self.offset = offset
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let op = HardSigmoid(
      slope: try node.float("alpha", default: 0.2), offset: try node.float("beta", default: 0.5))
    return try ImportedOperator(op, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(slope), "beta": .float(offset)])
  }

  package func value(_ x: Double) -> Double {
    (Double(slope) * x + Double(offset)).limited(to: 0...1)
  }
  package func derivative(_ x: Double, _ y: Double) -> Double { y > 0 && y < 1 ? Double(slope) : 0 }
}
