internal import CNapDNN

/// A 3x3 convolution of images by Winograd's algorithm F(4x4, 3x3), in our own kernels.
///
/// Tiles of 4x4 outputs take a quarter of the multiplications, in `float32`; rounding errors are about
/// 1e-6 of the largest output. Those of `bfloat16` images may be in `bfloat16` where the processor can:
/// at twice the speed, with errors of a hundredth. Images lie in `Layout(blocked:)`.
///
/// - Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.
package struct WinogradConvolution: @unchecked Sendable {
  private var sizes: nap_winograd
  /// Shapes of the images, `[n, channels, height, width]`.
  package let source: [Int]
  package let destination: [Int]

  /// What is to be computed.
  package enum Pass: Sendable {
    case forward, inputGradient, weightGradient
  }

  /// - Parameter rounds: what is multiplied may be rounded to `scalar`.
  /// - Returns: `nil` where another algorithm is faster, or the only one.
  package init?(
    source: [Int], destination: [Int], groups: Int, window: WindowGeometry, scalar: Scalar,
    pass: Pass, rounds: Bool
  ) {
    guard window.suitsWinograd, scalar != .byte, groups == 1, source.count == 4 else { return nil }
    let products =
      rounds && scalar == .bfloat16 && nap_winograd_bfloat16_products() != 0 ? scalar : .float32
    self.init(source, destination, pads: window.padsBegin, scalar, products: products)
    guard pays(pass, scalar) else { return nil }
  }

  private init(
    _ source: [Int], _ destination: [Int], pads: [Int], _ scalar: Scalar, products: Scalar
  ) {
    self.source = source
    self.destination = destination
    let (x, y) = (source.map(Int64.init), destination.map(Int64.init))
    sizes = nap_winograd(
      n: x[0], ic: x[1], oc: y[1], ih: x[2], iw: x[3], oh: y[2], ow: y[3], top: Int64(pads[0]),
      left: Int64(pads[1]), type: scalar.rawValue, products: products.rawValue)
  }

  /// The convolution that takes gradients of outputs to gradients of inputs.
  package var opposite: WinogradConvolution {
    WinogradConvolution(
      destination, source, pads: [2 - Int(sizes.top), 2 - Int(sizes.left)],
      Scalar(rawValue: sizes.type) ?? .float32,
      products: Scalar(rawValue: sizes.products) ?? .float32)
  }

  /// As measured: tiles have to be full, unless oneDNN is as slow as with few positions and many
  /// weights, and more of them than the transformed weights cost; in `bfloat16` the products of many
  /// channels are faster without the algorithm than in `float32` with it; and with few channels the
  /// transforms cost more than other products.
  private func pays(_ pass: Pass, _ scalar: Scalar) -> Bool {
    let written = pass == .inputGradient ? source : destination
    let (most, weights) = (max(source[1], destination[1]), source[1] * destination[1])
    let tiles = written[2...].map { ($0 + 3) / 4 }
    let full = Double(written[2] * written[3]) / Double(16 * tiles[0] * tiles[1])
    let needed = pass == .weightGradient && weights >= 256 * 256 ? 0.2 : 0.5
    let converted = scalar.rawValue != sizes.products && pass != .weightGradient
    return hasEnoughChannels(pass, scalar) && weights <= (converted ? 256 * 256 : 512 * 512)
      && full > needed && source[0] * tiles[0] * tiles[1] >= most / 16
  }

  private func hasEnoughChannels(_ pass: Pass, _ scalar: Scalar) -> Bool {
    // Where oneDNN has no kernel of its own, it writes out all patches: five times as slow.
    if scalar == .bfloat16 && pass == .weightGradient {
      return source[1] > 4 || destination[1] % 16 != 0
    }
    return min(source[1], destination[1]) >= 8
  }

  package var weightsBytes: Int { withUnsafePointer(to: sizes) { nap_winograd_weights_bytes($0) } }

  package func scratchBytes(_ pass: Pass) -> Int {
    withUnsafePointer(to: sizes) { nap_winograd_scratch_bytes($0, pass == .weightGradient ? 1 : 0) }
  }

  /// Transforms weights `[outputs, inputs, 3, 3]`.
  ///
  /// - Parameter ofOpposite: they are the weights of the opposite convolution.
  package func transformWeights(
    _ weights: UnsafePointer<Float>, ofOpposite: Bool,
    into transformed: UnsafeMutableRawPointer
  ) {
    withUnsafePointer(to: sizes) {
      nap_winograd_weights($0, weights, ofOpposite ? 1 : 0, transformed)
    }
  }

  /// - Parameters:
  ///   - residual: what is added to the result, before it is limited to `range`.
  package func forward(
    _ x: UnsafeRawPointer, transformedWeights: UnsafeRawPointer,
    bias: UnsafePointer<Float>? = nil, adding residual: UnsafeRawPointer? = nil,
    range: ClosedRange<Float> = -.infinity ... .infinity, into y: UnsafeMutableRawPointer,
    scratch: UnsafeMutableRawPointer
  ) {
    withUnsafePointer(to: sizes) {
      nap_winograd_forward(
        $0, x, transformedWeights, bias, residual, range.lowerBound, range.upperBound, y, scratch)
    }
  }

  /// Gradients of the weights `[outputs, inputs, 3, 3]` and, where wanted, of the bias.
  package func weightGradient(
    _ x: UnsafeRawPointer, outputGradient dy: UnsafeRawPointer,
    into dw: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
    scratch: UnsafeMutableRawPointer
  ) {
    withUnsafePointer(to: sizes) {
      nap_winograd_weight_gradient($0, x, dy, dw, bias, scratch)
    }
  }
}

extension WindowGeometry {
  /// Whether Winograd's kernels compute such convolutions, on this processor.
  var suitsWinograd: Bool {
    nap_winograd_supported() != 0 && kernel == [3, 3] && strides == [1, 1] && dilations == [1, 1]
      && (padsBegin + padsEnd).allSatisfy { $0 <= 2 }
  }
}
