import Foundation
internal import CNapDNN
import NapTensor

/// What a prepared kernel reads or writes.
package enum KernelArgument: UInt32, Sendable, Hashable {
  case source, source1, weights, bias, destination, mean, variance, scale, shift, workspace,
    scratchpad
  case sourceGradient, weightsGradient, biasGradient, destinationGradient, scaleGradient,
    shiftGradient
}

/// A pointwise function that kernels can apply on the way out.
package enum Activation: Sendable, Hashable {
  case relu(slope: Float)
  case clip(lower: Float, upper: Float)
  case logistic
  case tanh
  case hardSwish
  case linear(scale: Float, offset: Float)
  case absolute
  case elu(alpha: Float)
  case exponential
  case geluErf
  case geluTanh
  case mish
  case softRelu
  case squareRoot

  /// What bounds numbers, where that is all it does.
  package var limits: (lower: Float, upper: Float)? {
    switch self {
    case .relu(slope: 0): (0, .infinity)
    case .clip(let lower, let upper): (lower, upper)
    default: nil
    }
  }

  /// Whether NaN stays NaN; oneDNN's exponential of it is infinite.
  package var keepsNaN: Bool { self != .exponential }

  var parameters: (kind: Int32, alpha: Float, beta: Float) {
    switch self {
    case .relu(let slope): (Int32(NAP_RELU.rawValue), slope, 0)
    case .clip(let lower, let upper): (Int32(NAP_CLIP.rawValue), lower, upper)
    case .logistic: (Int32(NAP_LOGISTIC.rawValue), 0, 0)
    case .tanh: (Int32(NAP_TANH.rawValue), 0, 0)
    case .hardSwish: (Int32(NAP_HARDSWISH.rawValue), 1 / 6, 0.5)
    case .linear(let scale, let offset): (Int32(NAP_LINEAR.rawValue), scale, offset)
    case .absolute: (Int32(NAP_ABS.rawValue), 0, 0)
    case .elu(let alpha): (Int32(NAP_ELU.rawValue), alpha, 0)
    case .exponential: (Int32(NAP_EXP.rawValue), 0, 0)
    case .geluErf: (Int32(NAP_GELU_ERF.rawValue), 0, 0)
    case .geluTanh: (Int32(NAP_GELU_TANH.rawValue), 0, 0)
    case .mish: (Int32(NAP_MISH.rawValue), 0, 0)
    case .softRelu: (Int32(NAP_SOFT_RELU.rawValue), 1, 0)
    case .squareRoot: (Int32(NAP_SQRT.rawValue), 0, 0)
    }
  }
}

package enum BinaryOperation: Int32, Sendable {
  case add, subtract, multiply, divide
}

package enum PoolingKind: Int32, Sendable {
  case maximum, averageIncludingPadding, averageExcludingPadding
}

/// Geometry of a convolution or pool over the spatial axes; a dilation of 1 is dense.
package struct WindowGeometry: Sendable, Hashable {
  package var kernel: [Int]
  package var strides: [Int]
  package var dilations: [Int]
  package var padsBegin: [Int]
  package var padsEnd: [Int]

  package init(kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int], padsEnd: [Int]) {
    self.kernel = kernel
    self.strides = strides
    self.dilations = dilations
    self.padsBegin = padsBegin
    self.padsEnd = padsEnd
  }

  func withC<R>(_ body: (UnsafePointer<nap_window>) -> R) -> R {
    func three(_ values: [Int]) -> (Int64, Int64, Int64) {
      func at(_ i: Int) -> Int64 { i < values.count ? Int64(values[i]) : 0 }
      return (at(0), at(1), at(2))
    }
    var window = nap_window(
      rank: Int32(kernel.count), kernel: three(kernel), strides: three(strides),
      dilations: three(dilations), pads_begin: three(padsBegin), pads_end: three(padsEnd))
    return withUnsafePointer(to: &window, body)
  }
}

/// A oneDNN primitive could not be made or run.
package struct KernelError: NapError, Equatable {
  package let problem: String

  init(_ what: String) { problem = "\(what): \(String(cString: nap_dnn_error()))" }
}

/// A oneDNN primitive with its memory: made once when a plan is built, then run without allocating.
package final class PreparedKernel {
  private let handle: OpaquePointer

  init(_ what: String, _ handle: OpaquePointer?) throws(KernelError) {
    guard let handle else { throw KernelError(what) }
    self.handle = handle
  }

  deinit { nap_kernel_free(handle) }

  /// The implementation oneDNN chose, such as `jit:avx512_core`.
  package var implementation: String { String(cString: nap_kernel_name(handle)) }

  /// The layout the kernel settled on for an argument.
  package func layout(_ argument: KernelArgument) -> Layout {
    guard let layout = nap_kernel_layout(handle, Int32(argument.rawValue)) else {
      preconditionFailure(String(cString: nap_dnn_error()))
    }
    return Layout(owning: layout)
  }

  package func bind(_ argument: KernelArgument, to memory: UnsafeMutableRawPointer) {
    let status = nap_kernel_bind(handle, Int32(argument.rawValue), memory)
    precondition(status == 0, String(cString: nap_dnn_error()))
  }

  package func run() {
    let status = nap_kernel_run(handle)
    precondition(status == 0, String(cString: nap_dnn_error()))
  }
}

extension PreparedKernel {
  /// `source [n, …] · weights [o, …]ᵀ + bias [o]`.
  package static func innerProductForward(
    source: Layout, weights: Layout, bias: Layout?, destination: Layout
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "inner product",
      nap_inner_product_forward(source.handle, weights.handle, bias?.handle, destination.handle))
  }

  package static func innerProductBackwardData(
    sourceGradient: Layout, weights: Layout, destinationGradient: Layout
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "inner product, gradient of its input",
      nap_inner_product_backward_data(
        sourceGradient.handle, weights.handle, destinationGradient.handle))
  }

  package static func innerProductBackwardWeights(
    source: Layout, weightsGradient: Layout, biasGradient: Layout?, destinationGradient: Layout
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "inner product, gradient of its weights",
      nap_inner_product_backward_weights(
        source.handle, weightsGradient.handle, biasGradient?.handle, destinationGradient.handle))
  }

  /// Batch normalization with scale and shift.
  ///
  /// With `globalStatistics` mean and variance are read,
  /// otherwise they are written.
  package static func normalizationForward(
    data: Layout, epsilon: Float, globalStatistics: Bool, training: Bool, relu: Bool
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "batch normalization",
      nap_normalization_forward(
        data.handle, epsilon, globalStatistics ? 1 : 0, training ? 1 : 0, relu ? 1 : 0))
  }

  package static func normalizationBackward(
    data: Layout, gradient: Layout, epsilon: Float, globalStatistics: Bool, relu: Bool
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "batch normalization, gradient",
      nap_normalization_backward(
        data.handle, gradient.handle, epsilon, globalStatistics ? 1 : 0, relu ? 1 : 0))
  }

  package static func activationForward(_ activation: Activation, data: Layout) throws(KernelError)
    -> PreparedKernel
  {
    let (kind, alpha, beta) = activation.parameters
    return try PreparedKernel("activation", nap_activation_forward(data.handle, kind, alpha, beta))
  }

  package static func activationBackward(_ activation: Activation, data: Layout, gradient: Layout)
    throws(KernelError) -> PreparedKernel
  {
    let (kind, alpha, beta) = activation.parameters
    return try PreparedKernel(
      "activation, gradient",
      nap_activation_backward(data.handle, gradient.handle, kind, alpha, beta))
  }

  /// `exp(x) / Σ exp(x)` along an axis, or its logarithm.
  package static func softmaxForward(data: Layout, axis: Int, logarithmic: Bool)
    throws(KernelError) -> PreparedKernel
  {
    try PreparedKernel(
      "softmax", nap_softmax_forward(data.handle, Int32(axis), logarithmic ? 1 : 0))
  }

  package static func softmaxBackward(data: Layout, axis: Int, logarithmic: Bool)
    throws(KernelError) -> PreparedKernel
  {
    try PreparedKernel(
      "softmax, gradient", nap_softmax_backward(data.handle, Int32(axis), logarithmic ? 1 : 0))
  }

  /// `a op b` elementwise, `b` broadcast along its axes of size 1.
  package static func binary(
    _ operation: BinaryOperation, _ a: Layout, _ b: Layout, destination: Layout
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "elementwise operation",
      nap_binary(a.handle, b.handle, destination.handle, operation.rawValue))
  }

  package static func poolingForward(
    _ kind: PoolingKind, source: Layout, destination: Layout, window: WindowGeometry, training: Bool
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "pooling",
      window.withC {
        nap_pooling_forward(source.handle, destination.handle, $0, kind.rawValue, training ? 1 : 0)
      })
  }

  package static func poolingBackward(
    _ kind: PoolingKind, sourceGradient: Layout, destinationGradient: Layout, window: WindowGeometry
  ) throws(KernelError) -> PreparedKernel {
    try PreparedKernel(
      "pooling, gradient",
      window.withC {
        nap_pooling_backward(sourceGradient.handle, destinationGradient.handle, $0, kind.rawValue)
      })
  }

  package static func reorder(from source: Layout, to destination: Layout) throws(KernelError)
    -> PreparedKernel
  {
    try PreparedKernel("reorder", nap_reorder(source.handle, destination.handle))
  }
}
