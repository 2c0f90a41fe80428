import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// The largest value a window sees.
package struct MaxPool: PoolingOperator {
  package static let name = "MaxPool"

  package var window: Window

  package init(window: Window) { self.window = window }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard node.outputCount <= 1 else {
      throw OperatorError("the indices (output 1) are not supported")
    }
    guard let kernel = try node.ints("kernel_shape") else {
      throw OperatorError("attribute 'kernel_shape' is missing")
    }
    return try ImportedOperator(MaxPool(window: Window(node, kernel: kernel)), of: node)
  }

  /// A window that sees padding alone gives minus infinity.
  package func staysFinite(constants: [Tensor?]) -> Bool {
    guard case .explicit(let begin, let end) = window.padding else { return true }
    return window.dilations.allSatisfy { $0 == 1 } && !window.roundsUp
      && zip(window.kernel, zip(begin, end)).allSatisfy { $0 > max($1.0, $1.1) }
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: window.attributes)
  }

  package func window(over sizes: [Int]) -> Window { window }

  package func weights(_ values: [Float], at position: Int, over sizes: [Int]) -> [Double] {
    let largest = values.extremum(largest: true)
    return values.indices.map { $0 == largest ? 1 : 0 }
  }

  package var poolingKind: PoolingKind? { .maximum }
}
