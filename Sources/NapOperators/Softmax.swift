import Foundation
import NapGraph
import NapTensor

/// `exp(x) / Σ exp(x)` along one axis.
package struct Softmax: SoftmaxOperator {
  package static let name = "Softmax"
  package static let isLogarithmic = false

  package var axis: Int

  package init(axis: Int = -1) { self.axis = axis }

  package static func values(_ x: [Double], logSum: Double) -> [Double] {
    x.map { exp($0 - logSum) }
  }

  package static func derivatives(_ y: [Double], _ dy: [Double]) -> [Double] {
    let mean = zip(y, dy).reduce(0) { $0 + $1.0 * $1.1 }
    return zip(y, dy).map { $0 * ($1 - mean) }
  }
}
