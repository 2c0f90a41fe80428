package import NapGraph
package import NapKernels

/// `max(0, x)`.
package struct Relu: KernelElementwiseOperator {
  package static let name = "Relu"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Relu(), of: node)
  }

  package func value(_ x: Double) -> Double { x < 0 ? 0 : x }
  package func derivative(_ x: Double, _ y: Double) -> Double { x > 0 ? 1 : 0 }
  package var activation: Activation? { .relu(slope: 0) }
}
