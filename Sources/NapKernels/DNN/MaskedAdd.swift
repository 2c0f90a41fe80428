internal import CNapDNN

/// `out = mask > 0 ? a + b : 0` over flat memory: a residual gradient and a ReLU in one pass.
///
/// - Parameter b: may be absent (0); `out` may be `a` then.
package func maskedAdd(
  _ scalar: Scalar, count: Int, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer?,
  mask: UnsafeRawPointer, into out: UnsafeMutableRawPointer
) {
  nap_add_mask(scalar.rawValue, count, a, b, mask, out)
}

/// Whether kernels can compute with bfloat16 at all: not where registers have room for 8 numbers only.
package var canComputeBFloat16: Bool { nap_preferred_block() != 8 }

/// Whether the processor multiplies bfloat16 in hardware.
package var hasFastBFloat16: Bool { nap_dnn_has_bfloat16() != 0 }
