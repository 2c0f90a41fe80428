import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// Collects how filters of a layer correlate over images and positions, batch by batch.
package final class ActivationCorrelations {
  private struct Sums {
    var count = 0.0
    var sums: [Double]
    var products: Matrix
  }
  private let plan: Plan
  private let order: [(layer: Int, response: FilterResponse)]
  private var sums: [Sums]

  /// - Parameter responses: by the first node of a layer.
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(_ graph: Graph, of responses: [Int: FilterResponse], batch: Int) throws {
    order = responses.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    plan = try Plan(try graph.truncated(to: order.map(\.response.value)), batch: batch)
    sums = order.map { entry in
      let size = entry.response.filters
      return Sums(
        sums: [Double](repeating: 0, count: size), products: Matrix(rows: size, columns: size))
    }
  }

  /// - Parameter inputs: a batch, dense, one array an input.
  package func add(_ inputs: [UnsafePointer<Float>]) {
    plan.setInputs(inputs, count: plan.batch)
    plan.forward()
    for (index, entry) in order.enumerated() {
      add(plan.outputs[index], plan.outputShapes[index], entry.response, to: &sums[index])
    }
  }

  private func add(
    _ values: UnsafePointer<Float>, _ shape: [Int], _ response: FilterResponse, to sums: inout Sums
  ) {
    let features = response.filters
    // Positions follow each feature, or features each position.
    let positions = shape[(response.featureAxis + 1)...].product
    let isMajor = positions == 1
    let blocks = isMajor ? 1 : shape[..<response.featureAxis].product
    let each = isMajor ? shape.product / max(1, features) : positions
    var products = [Float](repeating: 0, count: features * features)
    for block in 0..<blocks {
      let start = values + block * features * each
      multiply(
        start, transposingA: isMajor, start, transposingB: !isMajor, into: &products, m: features,
        n: features, k: each, adding: block > 0)
      for k in 0..<features {
        for t in 0..<each {
          sums.sums[k] += Double(start[isMajor ? t * features + k : k * each + t])
        }
      }
    }
    sums.count += Double(blocks * each)
    for i in products.indices { sums.products.elements[i] += Double(products[i]) }
  }

  /// By layer, from 0 for filters that always agree to 1 for those that have nothing in common.
  package func distances() -> [Int: Matrix] {
    var result: [Int: Matrix] = [:]
    for (entry, sums) in zip(order, sums) {
      let size = entry.response.filters
      func covariance(_ i: Int, _ k: Int) -> Double {
        sums.products[i, k] - sums.sums[i] * sums.sums[k] / max(1, sums.count)
      }
      var distances = Matrix(rows: size, columns: size)
      for i in 0..<size {
        for k in 0..<size where i != k {
          let norm = (covariance(i, i) * covariance(k, k)).squareRoot()
          distances[i, k] = norm > 0 ? 1 - min(1, max(0, covariance(i, k) / norm)) : 1
        }
      }
      result[entry.layer] = distances
    }
    return result
  }
}
