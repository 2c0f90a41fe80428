import NapKernels

/// The numbers that activations and products are computed in; weights are `float32` always.
public enum Precision: String, Sendable, CaseIterable {
  /// `bfloat16` where the processor multiplies it in hardware, else `float32`.
  case auto
  case float32
  case bfloat16

  var scalar: Scalar {
    switch self {
    case .auto: hasFastBFloat16 ? .bfloat16 : .float32
    case .float32: .float32
    case .bfloat16: .bfloat16
    }
  }
}
