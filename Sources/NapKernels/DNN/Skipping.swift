internal import CNapDNN
import NapTensor

/// Whether there are kernels that leave out closed channels.
package var canSkipChannels: Bool { nap_skipping_supported() != 0 }

extension Layout {
  /// Images `[n, channels, height, width]` in blocks of 8 channels, as kernels read them that leave out closed
  /// ones.
  package convenience init(eights shape: [Int]) {
    let handle = nap_layout_images(4, shape.map(Int64.init), 8, Scalar.float32.rawValue)
    guard let handle else { preconditionFailure(String(cString: nap_dnn_error())) }
    self.init(owning: handle)
  }
}

/// A convolution without groups that leaves out blocks of 8 channels that gates close.
package struct SkippingKernel: Sendable {
  private let sizes: nap_skipping

  /// - Parameter weightsAreAlike: enough for Winograd's algorithm.
  /// - Shapes: `[n, channels, height, width]`.
  package init(
    source: [Int], destination: [Int], window: WindowGeometry, weightsAreAlike: Bool
  ) {
    func pair(_ values: [Int]) -> (Int64, Int64) { (Int64(values[0]), Int64(values[1])) }
    let (x, y) = (source.map(Int64.init), destination.map(Int64.init))
    sizes = nap_skipping(
      n: x[0], ic: x[1], oc: y[1], ih: x[2], iw: x[3], oh: y[2], ow: y[3],
      kernel: pair(window.kernel), strides: pair(window.strides),
      dilations: pair(window.dilations), top: Int64(window.padsBegin[0]),
      left: Int64(window.padsBegin[1]),
      winograd: weightsAreAlike && Self.winogradPays(source, destination, window) ? 1 : 0)
  }

  /// As measured: tiles of 4x4 outputs have to be more than half full, and enough to be worth reading four times
  /// as many weights, the more so where these do not stay in a core's cache.
  private static func winogradPays(_ source: [Int], _ destination: [Int], _ window: WindowGeometry)
    -> Bool
  {
    guard window.suitsWinograd else { return false }
    let tiles = destination[2...].map { ($0 + 3) / 4 }.product
    let staysNear = 36 * 4 * source[1] * destination[1] <= 768 << 10
    return tiles >= (staysNear ? 2 : 6) && 2 * destination[2...].product > 16 * tiles
  }

  package var weightsBytes: Int { withUnsafePointer(to: sizes) { nap_skipping_weights_bytes($0) } }

  /// Arranges weights `[outputs, inputs, height, width]`.
  package func arrange(_ weights: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    withUnsafePointer(to: sizes) { nap_skipping_weights($0, weights, packed) }
  }

  /// What a run reads and writes; images lie in `Layout(eights:)`.
  package struct Job {
    package var x: UnsafePointer<Float>
    package var weights: UnsafePointer<Float>
    package var bias: UnsafePointer<Float>?
    /// Dense, `[n, channels]`, of inputs and of outputs.
    package var (inputGates, outputGates): (UnsafePointer<Float>?, UnsafePointer<Float>?)
    package var residual: UnsafePointer<Float>?
    /// Before outputs are multiplied by their gates, and after the residual has been added.
    package var (range, lastRange): (ClosedRange<Float>, ClosedRange<Float>)
    package var y: UnsafeMutablePointer<Float>
    /// Dense, `[n, channels]`; receives the means of outputs over positions.
    package var means: UnsafeMutablePointer<Float>?

    package init(
      x: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
      inputGates: UnsafePointer<Float>?, outputGates: UnsafePointer<Float>?,
      residual: UnsafePointer<Float>?, range: ClosedRange<Float>, lastRange: ClosedRange<Float>,
      y: UnsafeMutablePointer<Float>, means: UnsafeMutablePointer<Float>?
    ) {
      (self.x, self.weights, self.bias) = (x, weights, bias)
      (self.inputGates, self.outputGates, self.residual) = (inputGates, outputGates, residual)
      (self.range, self.lastRange, self.y, self.means) = (range, lastRange, y, means)
    }
  }

  package func run(_ job: Job) {
    var all = nap_skipping_job(
      x: job.x, weights: job.weights, bias: job.bias, in_gates: job.inputGates,
      out_gates: job.outputGates, residual: job.residual, lower: job.range.lowerBound,
      upper: job.range.upperBound, last_lower: job.lastRange.lowerBound,
      last_upper: job.lastRange.upperBound, y: job.y, means: job.means)
    withUnsafePointer(to: sizes) { nap_skipping_run($0, &all) }
  }
}

/// Runs a gate on some examples: `w2 relu(w1 means + b1) + b2` of every unit, limited to a range; then 0 where that is not
/// above the threshold, and 1 or what it is elsewhere.
///
/// - Shapes: dense; `means [n, inputs]`, `w1 [inputs, hidden]`, `w2 [hidden, units]`, `gates [n, channels]`;
///   `scratch [hidden + units]`.
package func runGate(
  means: UnsafePointer<Float>, _ shape: (n: Int, inputs: Int, hidden: Int, units: Int),
  w1: UnsafePointer<Float>, b1: UnsafePointer<Float>?, w2: UnsafePointer<Float>,
  b2: UnsafePointer<Float>?, range: ClosedRange<Float>, threshold: Float, scales: Bool,
  unitOfChannel: [Int32], into gates: UnsafeMutablePointer<Float>,
  scratch: UnsafeMutablePointer<Float>
) {
  unitOfChannel.withUnsafeBufferPointer { unit in
    var gate = nap_gate(
      n: Int64(shape.n), inputs: Int64(shape.inputs), hidden: Int64(shape.hidden),
      units: Int64(shape.units), oc: Int64(unit.count), w1: w1, b1: b1, w2: w2, b2: b2,
      lower: range.lowerBound, upper: range.upperBound, threshold: threshold,
      scales: scales ? 1 : 0, unit: unit.baseAddress, means: means, gates: gates, scratch: scratch)
    nap_gate_run(&gate)
  }
}

/// Means over positions of images in `Layout(eights:)`, `[n, channels]`.
package func channelMeans(
  _ x: UnsafePointer<Float>, n: Int, channels: Int, positions: Int,
  into means: UnsafeMutablePointer<Float>
) {
  nap_block_means(Int64(n), Int64(channels), Int64(positions), x, means)
}
