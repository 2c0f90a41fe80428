import Foundation
import NapGraph
import NapTensor

/// `x - log Σ exp(x)` along one axis.
package struct LogSoftmax: SoftmaxOperator {
  package static let name = "LogSoftmax"
  package static let isLogarithmic = true

  package var axis: Int

  package init(axis: Int = -1) { self.axis = axis }

  package static func values(_ x: [Double], logSum: Double) -> [Double] { x.map { $0 - logSum } }

  package static func derivatives(_ y: [Double], _ dy: [Double]) -> [Double] {
    let sum = dy.reduce(0, +)
    return zip(y, dy).map { $1 - exp($0) * sum }
  }
}
