import NapKernels
import Testing

/// What must be the same with every version of oneDNN.
@Suite struct LayoutTests {
  static let shape = [2, 24, 5, 3]

  static let layouts: [(name: String, make: @Sendable (Scalar) -> Layout)] = [
    ("abcd", { Layout(dense: shape, $0) }),
    ("acdb", { Layout(shape, strides: [360, 1, 72, 24], $0) }),
    ("aBcd16b", { Layout(blocked: shape, $0) }),
    ("ba", { Layout([6, 4], strides: [1, 6], $0) }),
    ("any", { Layout(any: shape, $0) }),
  ]

  @Test("layouts are named, and kept for another element type", arguments: layouts.indices)
  func layoutsAreNamedAndKeptForAnotherElementType(_ index: Int) {
    let (name, make) = Self.layouts[index]
    #expect(make(.float32).description == name)
    #expect(make(.bfloat16).description == name + " bf16")
    #expect(make(.float32).with(.bfloat16) == make(.bfloat16))
    #expect(make(.bfloat16).with(.float32) == make(.float32))
    #expect(make(.float32).with(.float32) == make(.float32))
    #expect(make(.float32).with(.bfloat16).shape == make(.float32).shape)
  }

  @Test("gradients of strided convolutions are not left to batched products", arguments: [1, 3])
  func gradientsOfStridedConvolutionsAreNotLeftToBatchedProducts(_ size: Int) throws {
    // The padding ends where the last window does.
    let (begin, end) = (size / 2, size / 2 - 1)
    let kernel = try PreparedKernel.convolutionBackwardData(
      sourceGradient: Layout(any: [8, 16, 32, 32], .float32),
      weights: Layout(any: [32, 16, size, size], .float32),
      destinationGradient: Layout(any: [8, 32, 16, 16], .float32),
      window: WindowGeometry(
        kernel: [size, size], strides: [2, 2], dilations: [1, 1], padsBegin: [begin, begin],
        padsEnd: [end, end]))
    #expect(!kernel.implementation.hasPrefix("brgconv_strided"))
  }
}
