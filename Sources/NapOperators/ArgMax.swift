import NapGraph
import NapTensor

/// Where along an axis the largest number is.
package struct ArgMax: ExtremumPosition {
  package static let name = "ArgMax"

  package var axis: Int
  package var keepsAxis: Bool
  package var prefersLast: Bool

  package init(axis: Int, keepsAxis: Bool = true, prefersLast: Bool = false) {
    self.axis = axis
    self.keepsAxis = keepsAxis
    self.prefersLast = prefersLast
  }

  package static func precedes(_ a: Float, _ b: Float) -> Bool {
    a.precedes(b, largestFirst: true)
  }
}
