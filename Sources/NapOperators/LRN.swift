import Foundation
package import NapGraph
package import NapTensor

/// Local response normalization: `y = x / (bias + α/size · Σ x²)^β`, the sum over near channels.
package struct LRN: Operator {
  package static let name = "LRN"

  package var size: Int
  package var alpha: Float
  package var beta: Float
  package var bias: Float

  package init(size: Int, alpha: Float = 1e-4, beta: Float = 0.75, bias: Float = 1) {
    self.size = size
    self.alpha = alpha
    self.beta = beta
    self.bias = bias
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { bias > 0 && alpha >= 0 }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let size = try node.int("size", default: 0)
    guard size > 0 else { throw OperatorError("attribute 'size' is missing or not positive") }
    let lrn = LRN(
      size: size, alpha: try node.float("alpha", default: 1e-4),
      beta: try node.float("beta", default: 0.75),
      bias: try node.float("bias", default: 1))
    return try ImportedOperator(lrn, of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      attributes: [
        "size": .int(size), "alpha": .float(alpha), "beta": .float(beta), "bias": .float(bias),
      ])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    guard inputs[0].count >= 2 else {
      throw OperatorError("an input of shape \(inputs[0]) has no channels")
    }
    return inputs
  }

  package func link(_ links: inout IndexLinks) {
    for axis in links.inputShapes[0].indices where axis != 1 {
      links.unite(.input(0, axis: axis), .output(0, axis: axis))
    }
    links.freeze(.input(0, axis: 1), "a channel is normalized by its neighbors")
    links.freeze(.output(0, axis: 1), "a channel is normalized by its neighbors")
  }

  package func work(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (inputs[0] + [min(size, inputs[0][1])]).boundedProduct
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    let y = x.floats.indices.map { i in
      Float(Double(x.floats[i]) * pow(scale(x, at: i), -Double(beta)))
    }
    return [Tensor(shape: x.shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let (x, dy) = (inputs[0], cotangents[0].floats)
    var dx = [Double](repeating: 0, count: x.count)
    for i in x.floats.indices {
      let s = scale(x, at: i)
      let slope = Double(dy[i]) * pow(s, -Double(beta))
      dx[i] += slope
      let shared = slope * Double(x.floats[i]) / s * Double(beta) * 2 * Double(alpha) / Double(size)
      for j in neighbors(x.shape, of: i) { dx[j] -= shared * Double(x.floats[j]) }
    }
    return [Tensor(shape: x.shape, floats: dx.map(Float.init))]
  }

  private func scale(_ x: Tensor, at i: Int) -> Double {
    let sum = neighbors(x.shape, of: i).reduce(0) {
      $0 + Double(x.floats[$1]) * Double(x.floats[$1])
    }
    return Double(bias) + Double(alpha) / Double(size) * sum
  }

  /// The elements whose squares are summed for element `i`.
  private func neighbors(_ shape: [Int], of i: Int) -> StrideTo<Int> {
    let image = shape.dropFirst(2).product
    let c = i / image % shape[1]
    let low = max(0, c - min(c, (size - 1) / 2))
    let high = c + min(shape[1] - 1 - c, size / 2)
    return stride(from: i + (low - c) * image, to: i + (high - c) * image + 1, by: image)
  }
}
