import NapGraph

/// The sum of absolute values over some axes.
package struct ReduceL1: ReducingOperator {
  package static let name = "ReduceL1"
  package static let ignoresZeros = true

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(0) { $0 + abs($1) } }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.map { $0 < 0 ? -1 : 1 }
  }
}
