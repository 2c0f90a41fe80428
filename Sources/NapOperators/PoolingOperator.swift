package import NapEngine
package import NapGraph
package import NapKernels
package import NapTensor

/// An operator that reduces what a window sees, channel by channel.
///
/// - Shapes: `x [N, C, …]`, `y [N, C, …]`.
package protocol PoolingOperator: Lowerable {
  /// The window over these spatial sizes.
  func window(over sizes: [Int]) -> Window
  /// Weights of what a window sees: `y = Σ weight · x`.
  ///
  /// - Parameters:
  ///   - values: what the taps of the window hold.
  ///   - position: the output position, row-major.
  func weights(_ values: [Float], at position: Int, over sizes: [Int]) -> [Double]
  /// The kernel that does the same; `nil` where there is none.
  var poolingKind: PoolingKind? { get }
}

extension PoolingOperator {
  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    guard shape.count > 2, shape.count <= 5 else {
      throw OperatorError("an input of shape \(shape) is not an image")
    }
    let sizes = Array(shape.dropFirst(2))
    return [shape.prefix(2) + (try window(over: sizes).outputSizes(sizes))]
  }

  package func link(_ links: inout IndexLinks) {
    for axis in 0..<2 { links.unite(.input(0, axis: axis), .output(0, axis: axis)) }
    for axis in 2..<links.inputShapes[0].count {
      links.freeze(.input(0, axis: axis), "it is a position in the image")
      links.freeze(.output(0, axis: axis), "it is a position in the image")
    }
  }

  package func work(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (outputs[0] + window(over: Array(inputs[0].dropFirst(2))).kernel).boundedProduct
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let x = inputs[0].floats
    var y = [Float](repeating: 0, count: shape.product)
    forEachWindow(inputs[0], shape) { position, elements, weights in
      y[position] = Float(zip(elements, weights).reduce(0) { $0 + $1.1 * Double(x[$1.0]) })
    }
    return [Tensor(shape: shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var dx = [Double](repeating: 0, count: inputs[0].count)
    forEachWindow(inputs[0], outputs[0].shape) { position, elements, weights in
      for (i, weight) in zip(elements, weights) {
        dx[i] += weight * Double(cotangents[0].floats[position])
      }
    }
    return [Tensor(shape: inputs[0].shape, floats: dx.map(Float.init))]
  }

  private func forEachWindow(
    _ x: Tensor, _ output: [Int],
    _ body: (_ position: Int, _ elements: [Int], _ weights: [Double]) -> Void
  ) {
    let sizes = Array(x.shape.dropFirst(2))
    let (image, positions) = (sizes.product, output.dropFirst(2).product)
    let taps = window(over: sizes).taps(sizes)
    for plane in 0..<output.prefix(2).product {
      for (p, taps) in taps.enumerated() {
        let elements = taps.map { plane * image + $0.input }
        body(
          plane * positions + p, elements,
          weights(elements.map { x.floats[$0] }, at: p, over: sizes))
      }
    }
  }

  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let sizes = Array(plan.shape(node.inputs[0]).dropFirst(2))
    guard let poolingKind else { return try PlainLowering.lower(node, into: plan) }
    return try plan.lowerPooling(
      poolingKind, window(over: sizes).geometry(sizes), input: node.inputs[0],
      output: node.outputs[0],
      label: name)
  }
}
