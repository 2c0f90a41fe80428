package import NapGraph
package import NapKernels
import NapTensor

/// `x · min(1, max(0, x / 6 + 1 / 2))`.
package struct HardSwish: KernelElementwiseOperator {
  package static let name = "HardSwish"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(HardSwish(), of: node)
  }

  package func value(_ x: Double) -> Double { x * (x / 6 + 0.5).limited(to: 0...1) }
  package func derivative(_ x: Double, _ y: Double) -> Double {
    if x <= -3 { 0 } else if x >= 3 { 1 } else { x / 3 + 0.5 }
  }

  package var activation: Activation? { .hardSwish }
}
