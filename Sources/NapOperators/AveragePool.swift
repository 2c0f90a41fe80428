import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// The mean of what a window sees, with or without the padding.
package struct AveragePool: PoolingOperator {
  package static let name = "AveragePool"

  package var window: Window
  package var countsPadding: Bool

  package init(window: Window, countsPadding: Bool = false) {
    self.window = window
    self.countsPadding = countsPadding
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let kernel = try node.ints("kernel_shape") else {
      throw OperatorError("attribute 'kernel_shape' is missing")
    }
    let pool = AveragePool(
      window: try Window(node, kernel: kernel),
      countsPadding: try node.int("count_include_pad", default: 0) != 0)
    guard pool.window.dilations.allSatisfy({ $0 == 1 }) else {
      // Opset 17, which exports are written in, has no such attribute.
      throw OperatorError("an average over a dilated window is not supported")
    }
    return try ImportedOperator(pool, of: node)
  }

  package func exported() -> ExportedOperator {
    var attributes = window.attributes
    attributes["dilations"] = nil
    attributes["count_include_pad"] = .int(countsPadding ? 1 : 0)
    return ExportedOperator(name, attributes: attributes)
  }

  package func window(over sizes: [Int]) -> Window { window }

  package func weights(_ values: [Float], at position: Int, over sizes: [Int]) -> [Double] {
    let count = countsPadding ? paddedCount(at: position, over: sizes) : values.count
    return values.map { _ in 1 / Double(count) }
  }

  /// Elements of a window that lie in the image or its declared padding; rounding up, the last
  /// window may hang over even that.
  private func paddedCount(at position: Int, over sizes: [Int]) -> Int {
    var declared = window
    declared.roundsUp = false
    let geometry = declared.geometry(sizes)
    let outputs = (try? window.outputSizes(sizes)) ?? []
    var rest = position
    var count = 1
    for axis in sizes.indices.reversed() {
      let start = rest % outputs[axis] * window.strides[axis] - geometry.padsBegin[axis]
      rest /= outputs[axis]
      count *= min(start + window.kernel[axis], sizes[axis] + geometry.padsEnd[axis]) - start
    }
    return count
  }

  package var poolingKind: PoolingKind? {
    if !countsPadding { return .averageExcludingPadding }
    return window.roundsUp ? nil : .averageIncludingPadding
  }
}
