package import NapKernels

extension Scalar {
  /// What this processor can compute with.
  package static var computable: [Scalar] {
    canComputeBFloat16 ? [.float32, .bfloat16] : [.float32]
  }
}

/// The same as options of commands.
package let computablePrecisions = Scalar.computable.map { $0 == .float32 ? "float32" : "bfloat16" }
