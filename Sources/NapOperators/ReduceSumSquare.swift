import NapGraph

/// The sum of squares over some axes.
package struct ReduceSumSquare: ReducingOperator {
  package static let name = "ReduceSumSquare"
  package static let ignoresZeros = true

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 } }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.map { 2 * $0 }
  }
}
