package import NapGraph
import NapTensor

/// The sum over some axes.
package struct ReduceSum: ReducingOperator {
  package static let name = "ReduceSum"
  package static let ignoresZeros = true

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  /// The axes are an input since opset 13.
  package func exported() -> ExportedOperator {
    ExportedOperator(
      name, attributes: ["keepdims": .int(keepsAxes ? 1 : 0)],
      constants: axes.map { [1: Tensor($0)] } ?? [:])
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(0, +) }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.map { _ in 1 }
  }
}
