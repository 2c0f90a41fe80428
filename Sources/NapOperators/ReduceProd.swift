import NapGraph

/// The product over some axes.
package struct ReduceProd: ReducingOperator {
  package static let name = "ReduceProd"

  package var axes: [Int]?
  package var keepsAxes: Bool

  package init(axes: [Int]?, keepsAxes: Bool = true) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  package static func value(_ x: [Double]) -> Double { x.reduce(1, *) }
  package static func derivatives(_ x: [Double], _ y: Double) -> [Double] {
    x.indices.map { i in
      x.indices.reduce(1) { $1 == i ? $0 : $0 * x[$1] }
    }
  }
}
