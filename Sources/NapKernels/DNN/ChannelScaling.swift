internal import CNapDNN

/// Images that are multiplied by a number for every image and channel.
package struct ChannelScaling: Sendable {
  private var sizes: nap_channel_scale

  /// - Parameter layout: of images `[n, channels, …]`.
  /// - Returns: `nil` where pixels do not lie one after another.
  package init?(_ layout: Layout) {
    let block = nap_layout_block(layout.handle)
    guard block >= 0, layout.scalar != .byte else { return nil }
    let shape = layout.shape
    sizes = nap_channel_scale(
      type: layout.scalar.rawValue, n: Int64(shape[0]), channels: Int64(shape[1]),
      positions: Int64(shape[2...].reduce(1, *)), inner: block == 0 ? Int64(shape[1]) : Int64(block)
    )
  }

  /// - Parameter scales: dense, `[n, channels]`.
  package func forward(
    _ x: UnsafeRawPointer, _ scales: UnsafePointer<Float>, into y: UnsafeMutableRawPointer
  ) {
    withUnsafePointer(to: sizes) { nap_channel_scale_forward($0, x, scales, y) }
  }

  /// The gradients of either operand, where wanted.
  package func backward(
    _ x: UnsafeRawPointer, _ scales: UnsafePointer<Float>, outputGradient dy: UnsafeRawPointer,
    into dx: UnsafeMutableRawPointer?, scales dscales: UnsafeMutablePointer<Float>?
  ) {
    withUnsafePointer(to: sizes) { nap_channel_scale_backward($0, x, scales, dy, dx, dscales) }
  }
}
