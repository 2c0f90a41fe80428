import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// The mean of every channel over all positions.
package struct GlobalAveragePool: PoolingOperator {
  package static let name = "GlobalAveragePool"

  package init() {}

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    try ImportedOperator(GlobalAveragePool(), of: node)
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func window(over sizes: [Int]) -> Window { Window(kernel: sizes) }

  package func weights(_ values: [Float], at position: Int, over sizes: [Int]) -> [Double] {
    values.map { _ in 1 / Double(values.count) }
  }

  package var poolingKind: PoolingKind? { .averageExcludingPadding }
}
