import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// The largest value of every channel over all positions.
package struct GlobalMaxPool: PoolingOperator {
  package static let name = "GlobalMaxPool"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(GlobalMaxPool(), of: node)
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func window(over sizes: [Int]) -> Window { Window(kernel: sizes) }

  package func weights(_ values: [Float], at position: Int, over sizes: [Int]) -> [Double] {
    let largest = values.extremum(largest: true)
    return values.indices.map { $0 == largest ? 1 : 0 }
  }

  package var poolingKind: PoolingKind? { .maximum }
}
