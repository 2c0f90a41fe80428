package import NapGraph
package import NapKernels

/// `x` where it is larger than `alpha`, 0 elsewhere.
package struct ThresholdedRelu: KernelElementwiseOperator {
  package static let name = "ThresholdedRelu"

  package var alpha: Float

  package init(alpha: Float = 1) { self.alpha = alpha }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(ThresholdedRelu(alpha: node.float("alpha", default: 1)), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["alpha": .float(alpha)])
  }

  package func value(_ x: Double) -> Double { x > Double(alpha) ? x : x.isNaN ? x : 0 }
  package func derivative(_ x: Double, _ y: Double) -> Double { x > Double(alpha) ? 1 : 0 }

  package var activation: Activation? { nil }
}
