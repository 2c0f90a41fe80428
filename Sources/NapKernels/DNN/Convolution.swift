internal import CNapDNN

extension PreparedKernel {
  /// Convolution; `sum` adds to what is already in the destination, before the activation.
  ///
  /// - Parameter isExact: whether the weights are too different for Winograd's algorithm.
  package static func convolutionForward(
    source: Layout, weights: Layout, bias: Layout?, destination: Layout, window: WindowGeometry,
    training: Bool, isExact: Bool = false, sum: Bool = false, activation: Activation? = nil
  ) throws(KernelError) -> PreparedKernel {
    let (kind, alpha, beta) = activation?.parameters ?? (Int32(NAP_NONE.rawValue), 0, 0)
    let shape = ConvolutionShape(source, weights, destination, window)
    let winograd = !isExact && shape.favorsWinograd(training: training)
    return try convolution("convolution", winograd: winograd) { winograd in
      window.withC {
        nap_convolution_forward(
          source.handle, weights.handle, bias?.handle, destination.handle, $0, winograd,
          training ? 1 : 0, sum ? 1 : 0, kind, alpha, beta)
      }
    }
  }

  package static func convolutionBackwardData(
    sourceGradient: Layout, weights: Layout, destinationGradient: Layout, window: WindowGeometry
  ) throws(KernelError) -> PreparedKernel {
    let shape = ConvolutionShape(sourceGradient, weights, destinationGradient, window)
    return try convolution(
      "convolution, gradient of its input", winograd: shape.favorsWinograd(training: true)
    ) { winograd in
      window.withC {
        nap_convolution_backward_data(
          sourceGradient.handle, weights.handle, destinationGradient.handle, $0, winograd)
      }
    }
  }

  package static func convolutionBackwardWeights(
    source: Layout, weightsGradient: Layout, biasGradient: Layout?, destinationGradient: Layout,
    window: WindowGeometry
  ) throws(KernelError) -> PreparedKernel {
    let shape = ConvolutionShape(source, weightsGradient, destinationGradient, window)
    return try convolution(
      "convolution, gradient of its weights", winograd: shape.favorsWinograd(training: true)
    ) { winograd in
      window.withC {
        nap_convolution_backward_weights(
          source.handle, weightsGradient.handle, biasGradient?.handle, destinationGradient.handle,
          $0, winograd)
      }
    }
  }

  /// Makes a kernel by Winograd's algorithm where that pays and the processor has it.
  private static func convolution(
    _ what: String, winograd: Bool, _ make: (Int32) -> OpaquePointer?
  ) throws(KernelError) -> PreparedKernel {
    if winograd, let kernel = try? PreparedKernel(what, make(1)) { return kernel }
    return try PreparedKernel(what, make(0))
  }
}

/// The sizes that decide how a convolution is computed best.
private struct ConvolutionShape {
  let source: Layout
  let weights: Layout
  let destination: Layout
  let window: WindowGeometry

  init(_ source: Layout, _ weights: Layout, _ destination: Layout, _ window: WindowGeometry) {
    self.source = source
    self.weights = weights
    self.destination = destination
    self.window = window
  }

  /// Whether Winograd's F(4x4, 3x3) takes less time than sliding the window.
  ///
  /// It computes tiles of 4x4 outputs with a quarter of the multiplications, in practice 2.2 times
  /// as fast where a tile is full and registers are. Its rounding errors are about 1e-6 of the
  /// largest output. A transformed weight costs as much as some tiles do; outside training it is
  /// transformed beforehand, but still four times as large.
  func favorsWinograd(training: Bool) -> Bool {
    let (x, y) = (source.shape, destination.shape)
    guard source.scalar == .float32, weights.shape.count == 4, window.kernel == [3, 3],
      window.strides == [1, 1], window.dilations == [1, 1],
      (window.padsBegin + window.padsEnd).allSatisfy({ $0 <= 1 }), min(x[1], y[1]) > 16
    else { return false }
    let tiles = y[2...].map { ($0 + 3) / 4 }
    let full = Double(y[2] * y[3]) / Double(16 * tiles[0] * tiles[1])
    let enough = max(x[1], y[1]) / (training ? 1 : 16)
    return full > 0.5 && x[0] * tiles[0] * tiles[1] >= enough
  }
}
