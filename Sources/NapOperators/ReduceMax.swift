import NapGraph

/// The largest number over some axes.
package struct ReduceMax: ReducingOperator {
  package static let name = "ReduceMax"

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double {
    x.extremum(largest: true).map { x[$0] } ?? 0
  }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    let largest = x.extremum(largest: true)
    return x.indices.map { $0 == largest ? 1 : 0 }
  }
}
