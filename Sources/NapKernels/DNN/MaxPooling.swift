internal import CNapDNN

/// A max pool that keeps NaN, which oneDNN's drops.
package struct MaxPooling: @unchecked Sendable {
  private var sizes: nap_max_pool
  /// Of the results: pixels lie as those of the source do.
  package let destination: Layout

  /// - Parameters:
  ///   - source: of images `[n, channels, …]`.
  ///   - shape: of the results.
  /// - Returns: `nil` where pixels do not lie one after another.
  package init?(source: Layout, destination shape: [Int], window: WindowGeometry) {
    let block = nap_layout_block(source.handle)
    guard block >= 0, let destination = Layout(images: shape, block: block, source.scalar) else {
      return nil
    }
    self.destination = destination
    let channels = block == 0 ? source.shape[1] : Int(block)
    func three(_ values: some Sequence<Int>, or fallback: Int64) -> (Int64, Int64, Int64) {
      let all = values.map(Int64.init)
      let front = [Int64](repeating: fallback, count: 3 - all.count) + all
      return (front[0], front[1], front[2])
    }
    sizes = nap_max_pool(
      type: source.scalar.rawValue,
      outer: Int64(shape[0] * ((shape[1] + channels - 1) / channels)), inner: Int64(channels),
      in: three(source.shape.dropFirst(2), or: 1), out: three(shape.dropFirst(2), or: 1),
      kernel: three(window.kernel, or: 1), strides: three(window.strides, or: 1),
      dilations: three(window.dilations, or: 1), pads: three(window.padsBegin, or: 0))
  }

  package func forward(_ x: UnsafeRawPointer, into y: UnsafeMutableRawPointer) {
    withUnsafePointer(to: sizes) { nap_max_pool_forward($0, x, y) }
  }
}
