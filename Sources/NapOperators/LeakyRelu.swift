package import NapGraph
package import NapKernels

/// `x` where it is positive, `slope · x` elsewhere.
package struct LeakyRelu: KernelElementwiseOperator {
  package static let name = "LeakyRelu"

  /// ONNX's `alpha`.
  package var slope: Float

  package init(slope: Float = 0.01) { self.slope = slope }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(LeakyRelu(slope: node.float("alpha", default: 0.01)), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(slope)])
  }

  package func value(_ x: Double) -> Double { x < 0 ? Double(slope) * x : x }
  package func derivative(_ x: Double, _ y: Double) -> Double { x > 0 ? 1 : Double(slope) }

  package var activation: Activation? { .relu(slope: slope) }
}
