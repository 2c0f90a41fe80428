import NapGraph

/// The smallest number over some axes.
package struct ReduceMin: ReducingOperator {
  package static let name = "ReduceMin"

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double {
    x.extremum(largest: false).map { x[$0] } ?? 0
  }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    let smallest = x.extremum(largest: false)
    return x.indices.map { $0 == smallest ? 1 : 0 }
  }
}
