import Foundation
package import NapGraph
package import NapKernels
package import NapTensor

/// The natural logarithm.
package struct Log: KernelElementwiseOperator {
  package static let name = "Log"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(Log(), of: node)
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { false }
  package func value(_ x: Double) -> Double { log(x) }
  package func derivative(_ x: Double, _ y: Double) -> Double { 1 / x }

  /// oneDNN's loses digits where it is near zero: 1e-5 of a number near one.
  package var activation: Activation? { nil }
}
