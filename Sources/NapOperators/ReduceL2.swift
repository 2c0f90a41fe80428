import NapGraph

/// The Euclidean norm over some axes.
package struct ReduceL2: ReducingOperator {
  package static let name = "ReduceL2"
  package static let ignoresZeros = true

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.map { y == 0 ? 0 : $0 / y }
  }
}
