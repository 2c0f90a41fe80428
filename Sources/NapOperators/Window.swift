import NapGraph
import NapKernels
import NapTensor

/// A window that slides over the spatial axes: what convolutions and pools have in common.
package struct Window: Codable, Sendable, Hashable {
  /// How the border is padded, as ONNX says it.
  package enum Padding: Codable, Sendable, Hashable {
    case explicit(begin: [Int], end: [Int])
    case sameUpper
    case sameLower
    case valid
  }

  package var kernel: [Int]
  package var strides: [Int]
  package var dilations: [Int]
  package var padding: Padding
  /// Whether a last window may hang over the padded border (`ceil_mode`).
  package var roundsUp: Bool

  package init(
    kernel: [Int], strides: [Int]? = nil, dilations: [Int]? = nil, padding: Padding? = nil,
    roundsUp: Bool = false
  ) {
    let ones = [Int](repeating: 1, count: kernel.count)
    self.kernel = kernel
    self.strides = strides ?? ones
    self.dilations = dilations ?? ones
    self.padding = padding ?? .explicit(begin: ones.map { _ in 0 }, end: ones.map { _ in 0 })
    self.roundsUp = roundsUp
  }

  /// Larger numbers are a mistake in the file; smaller ones cannot overflow.
  private static let largest = 1 << 24

  /// Reads the attributes of a node whose kernel has these sizes.
  init(_ node: NodeDescription, kernel: [Int]) throws(OperatorError) {
    func numbers(_ key: String, count: Int, from smallest: Int, default fallback: Int)
      throws(OperatorError) -> [Int]
    {
      let values = try node.ints(key) ?? [Int](repeating: fallback, count: count)
      guard values.count == count else {
        throw OperatorError("attribute '\(key)' has \(values.count) numbers instead of \(count)")
      }
      guard values.allSatisfy({ $0 >= smallest && $0 <= Self.largest }) else {
        throw OperatorError("attribute '\(key)' holds an impossible number: \(values)")
      }
      return values
    }
    let rank = kernel.count
    guard kernel.allSatisfy({ $0 > 0 && $0 <= Self.largest }) else {
      throw OperatorError("a window of size \(kernel) is impossible")
    }
    self.kernel = kernel
    strides = try numbers("strides", count: rank, from: 1, default: 1)
    dilations = try numbers("dilations", count: rank, from: 1, default: 1)
    switch try node.string("auto_pad", default: "NOTSET") {
    case "NOTSET", "":
      let pads = try numbers("pads", count: 2 * rank, from: 0, default: 0)
      padding = .explicit(begin: Array(pads[..<rank]), end: Array(pads[rank...]))
    case "SAME_UPPER": padding = .sameUpper
    case "SAME_LOWER": padding = .sameLower
    case "VALID": padding = .valid
    case let other: throw OperatorError("attribute 'auto_pad' has the unknown value '\(other)'")
    }
    roundsUp = try node.int("ceil_mode", default: 0) != 0
  }

  /// The attributes to write, `ceil_mode` where it is set.
  var attributes: [String: Attribute] {
    var result: [String: Attribute] = [
      "kernel_shape": .ints(kernel), "strides": .ints(strides), "dilations": .ints(dilations),
    ]
    switch padding {
    case .explicit(let begin, let end): result["pads"] = .ints(begin + end)
    case .sameUpper: result["auto_pad"] = .string("SAME_UPPER")
    case .sameLower: result["auto_pad"] = .string("SAME_LOWER")
    case .valid: result["auto_pad"] = .string("VALID")
    }
    if roundsUp { result["ceil_mode"] = .int(1) }
    return result
  }

  private func extent(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

  /// The padding before and after every axis.
  private func pads(_ sizes: [Int]) -> (begin: [Int], end: [Int]) {
    let zeros = [Int](repeating: 0, count: kernel.count)
    switch padding {
    case .explicit(let begin, let end): return (begin, end)
    case .valid: return (zeros, zeros)
    case .sameUpper, .sameLower:
      let totals = kernel.indices.map { axis in
        let output = (sizes[axis] + strides[axis] - 1) / strides[axis]
        return max(0, (output - 1) * strides[axis] + extent(axis) - sizes[axis])
      }
      let (smaller, larger) = (totals.map { $0 / 2 }, totals.map { $0 - $0 / 2 })
      return padding == .sameUpper ? (smaller, larger) : (larger, smaller)
    }
  }

  /// Sizes of the output for these spatial sizes of the input.
  func outputSizes(_ sizes: [Int]) throws(OperatorError) -> [Int] {
    guard sizes.count == kernel.count else {
      throw OperatorError("a window with \(kernel.count) axes cannot slide over \(sizes.count)")
    }
    guard sizes.allSatisfy({ $0 <= Int(Int32.max) }) else {
      throw OperatorError("an image of size \(sizes) is too large")
    }
    let (begin, end) = pads(sizes)
    var result: [Int] = []
    for axis in kernel.indices {
      let room = sizes[axis] + begin[axis] + end[axis] - extent(axis)
      guard sizes[axis] > 0, room >= 0 else {
        throw OperatorError(
          "a window of size \(kernel) does not fit into an image of size \(sizes)")
      }
      var output = room / strides[axis] + 1
      if roundsUp {
        output = (room + strides[axis] - 1) / strides[axis] + 1
        // A window must begin in the image or in the padding before it.
        if (output - 1) * strides[axis] >= sizes[axis] + begin[axis] { output -= 1 }
      }
      result.append(output)
    }
    return result
  }

  /// The geometry with all padding spelled out, for spatial sizes that fit.
  func geometry(_ sizes: [Int]) -> WindowGeometry {
    let (begin, end) = pads(sizes)
    let outputs = (try? outputSizes(sizes)) ?? []
    precondition(!outputs.isEmpty || kernel.isEmpty, "the window does not fit")
    let reached = kernel.indices.map { axis in
      (outputs[axis] - 1) * strides[axis] + extent(axis) - sizes[axis] - begin[axis]
    }
    // Rounding up, the last window may need more padding than declared.
    return WindowGeometry(
      kernel: kernel, strides: strides, dilations: dilations, padsBegin: begin,
      padsEnd: roundsUp ? reached.map { max(0, $0) } : end)
  }

  /// What each output position sees: pairs of a kernel position and an input position, row-major.
  func taps(_ sizes: [Int]) -> [[(kernel: Int, input: Int)]] {
    let geometry = geometry(sizes)
    let outputs = (try? outputSizes(sizes)) ?? []
    var result: [[(kernel: Int, input: Int)]] = [[(0, 0)]]
    // Axis by axis: the taps of a product of axes are the products of the taps.
    for axis in kernel.indices {
      result = result.flatMap { outer in
        (0..<outputs[axis]).map { position in
          outer.flatMap { tap in
            (0..<kernel[axis]).compactMap { k in
              let at = position * strides[axis] + k * dilations[axis] - geometry.padsBegin[axis]
              guard (0..<sizes[axis]).contains(at) else { return nil }
              return (tap.kernel * kernel[axis] + k, tap.input * sizes[axis] + at)
            }
          }
        }
      }
    }
    return result
  }
}
