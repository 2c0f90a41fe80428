internal import CNapDNN

/// The element type of planned memory.
package enum Scalar: Int32, Sendable, Hashable {
  case float32 = 0
  case bfloat16 = 1
  case byte = 2
}

/// How the elements of a logical array lie in memory; blocked layouts stay inside the engine.
package final class Layout: Equatable, CustomStringConvertible {
  let handle: OpaquePointer

  init(owning handle: OpaquePointer) { self.handle = handle }
  deinit { nap_layout_free(handle) }

  /// More axes oneDNN has no layouts for.
  package static let mostAxes = 12

  /// Row-major, without gaps.
  ///
  /// A scalar is an array of one element.
  package convenience init(dense shape: [Int], _ scalar: Scalar = .float32) {
    let shape = shape.isEmpty ? [1] : shape
    self.init(
      owning: Self.made(
        nap_layout_dense(Int32(shape.count), shape.map(Int64.init), scalar.rawValue)))
  }

  /// Left to the kernel that uses it.
  package convenience init(any shape: [Int], _ scalar: Scalar) {
    self.init(
      owning: Self.made(nap_layout_any(Int32(shape.count), shape.map(Int64.init), scalar.rawValue)))
  }

  /// Images `[n, channels, height, width]` in blocks of 16 channels.
  package convenience init(blocked shape: [Int], _ scalar: Scalar) {
    self.init(owning: Self.made(nap_layout_blocked(shape.map(Int64.init), scalar.rawValue)))
  }

  /// Images `[n, channels, …]` in the blocks that this processor's kernels are made for.
  ///
  /// - Returns: `nil` where that is not known.
  package convenience init?(preferred shape: [Int], _ scalar: Scalar) {
    let block = nap_preferred_block()
    if block == 0 { return nil }
    self.init(images: shape, block: block, scalar)
  }

  /// Images `[n, channels, …]`, pixel after pixel, in blocks of 1, 8 or 16 channels, or of all (0).
  ///
  /// - Returns: `nil` where images have no such layout.
  convenience init?(images shape: [Int], block: Int32, _ scalar: Scalar) {
    let dims = shape.map(Int64.init)
    guard let handle = nap_layout_images(Int32(dims.count), dims, block, scalar.rawValue) else {
      return nil
    }
    self.init(owning: handle)
  }

  /// With gaps or transposed: `strides` count elements.
  package convenience init(_ shape: [Int], strides: [Int], _ scalar: Scalar = .float32) {
    self.init(
      owning: Self.made(
        nap_layout_strided(
          Int32(shape.count), shape.map(Int64.init), strides.map(Int64.init), scalar.rawValue)))
  }

  private static func made(_ handle: OpaquePointer?) -> OpaquePointer {
    guard let handle else { preconditionFailure(String(cString: nap_dnn_error())) }
    return handle
  }

  package var bytes: Int { nap_layout_bytes(handle) }

  /// Elements, with those that fill up blocks.
  package var count: Int { bytes / (scalar == .float32 ? 4 : scalar == .bfloat16 ? 2 : 1) }

  package var scalar: Scalar { Scalar(rawValue: nap_layout_type(handle)) ?? .byte }

  package var shape: [Int] {
    var dims = [Int64](repeating: 0, count: Int(nap_layout_rank(handle)))
    nap_layout_dims(handle, &dims)
    return dims.map(Int.init)
  }

  /// The same physical arrangement for another element type.
  package func with(_ scalar: Scalar) -> Layout {
    Layout(owning: Self.made(nap_layout_with_type(handle, scalar.rawValue)))
  }

  /// The letters oneDNN uses, such as `aBcd16b`, with the element type.
  package var description: String {
    String(cString: nap_layout_name(handle)) + (scalar == .bfloat16 ? " bf16" : "")
  }

  package static func == (a: Layout, b: Layout) -> Bool {
    nap_layout_equal(a.handle, b.handle) != 0
  }
}
