import Foundation
package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// An operator on the distribution that the exponentials along one axis form.
package protocol SoftmaxOperator: Lowerable {
  /// Negative numbers count from the end.
  var axis: Int { get }
  init(axis: Int)
  /// Whether the outputs are logarithms.
  static var isLogarithmic: Bool { get }
  /// The outputs along the axis, given the logits and the logarithm of the sum of exponentials.
  static func values(_ x: [Double], logSum: Double) -> [Double]
  /// The cotangents of the logits, given outputs and their cotangents.
  static func derivatives(_ y: [Double], _ dy: [Double]) -> [Double]
}

extension SoftmaxOperator {
  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let shape = try node.shape(ofInput: 0)
    // Before opset 13 the input was flattened to a matrix at the axis.
    let flattens = node.opset < 13
    let axis = try node.int("axis", default: flattens ? 1 : -1).axis(ofRank: shape.count)
    let beyond = try Array(shape[(axis + 1)...]).checkedElementCount()
    guard !flattens || beyond == 1 else {
      throw OperatorError(
        "a \(name) over several axes at once is not supported",
        recovery: "export with opset 13 or newer")
    }
    return try ImportedOperator(Self(axis: axis), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(name, attributes: ["axis": .int(axis)])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    _ = try axis.axis(ofRank: inputs[0].count)
    return inputs
  }

  package func link(_ links: inout IndexLinks) {
    let rank = links.inputShapes[0].count
    let own = axis < 0 ? axis + rank : axis
    for a in 0..<rank {
      if a == own {
        links.freeze(.input(0, axis: a), "\(name) normalizes over it")
        links.freeze(.output(0, axis: a), "\(name) normalizes over it")
      } else {
        links.unite(.input(0, axis: a), .output(0, axis: a))
      }
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let x = inputs[0]
    var y = x.floats
    for line in x.shape.lines(along: axis) {
      let logits = line.map { Double(x.floats[$0]) }
      let largest = logits.max() ?? 0
      let logSum = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
      for (i, value) in zip(line, Self.values(logits, logSum: logSum)) { y[i] = Float(value) }
    }
    return [Tensor(shape: x.shape, floats: y)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    var dx = cotangents[0].floats
    for line in inputs[0].shape.lines(along: axis) {
      let values = Self.derivatives(
        line.map { Double(outputs[0].floats[$0]) }, line.map { Double(cotangents[0].floats[$0]) })
      for (i, value) in zip(line, values) { dx[i] = Float(value) }
    }
    return [Tensor(shape: inputs[0].shape, floats: dx)]
  }
}

// MARK: Lowering
extension SoftmaxOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, y) = (node.inputs[0], node.outputs[0])
    let layout = Layout(dense: plan.shape(x))
    let own = axis < 0 ? axis + layout.shape.count : axis
    let source = try plan.dense(plan.buffer(x))
    let output = plan.define(y, layout)
    let isLogarithmic = Self.isLogarithmic
    plan.run(
      try .softmaxForward(data: layout, axis: own, logarithmic: isLogarithmic), name,
      [(.source, source), (.destination, output)])
    // oneDNN gives zeros to the others of a line with NaN.
    plan.run("\(name) of NaN", touching: [source, output]) { memory in
      spreadNaN(
        memory.floats(source), layout.shape, along: own, into: memory.floats(output))
    }
    return {
      guard plan.needsGradient(x), let gradient = try plan.gradient(y, as: layout) else { return }
      let result = plan.makeBuffer(layout)
      plan.run(
        try .softmaxBackward(data: layout, axis: own, logarithmic: isLogarithmic),
        "\(name) gradient",
        [(.destination, output), (.destinationGradient, gradient), (.sourceGradient, result)])
      plan.contribute(result, to: x)
    }
  }
}

/// Makes the lines of `y` NaN along which `x` holds a NaN.
private func spreadNaN(
  _ x: UnsafePointer<Float>, _ shape: [Int], along axis: Int, into y: UnsafeMutablePointer<Float>
) {
  let (size, inner) = (shape[axis], shape[(axis + 1)...].product)
  let outer = shape[..<axis].product
  parallel { part, parts in
    let (first, end) = (outer * part / parts, outer * (part + 1) / parts)
    let count = (end - first) * size * inner
    let start = first * size * inner
    guard firstNotFinite(.float32, count: count, in: x + start, orInfinite: false) != nil else {
      return
    }
    for line in first * inner..<end * inner {
      let corner = line / inner * size * inner + line % inner
      guard (0..<size).contains(where: { x[corner + $0 * inner].isNaN }) else { continue }
      for k in 0..<size { y[corner + k * inner] = .nan }
    }
  }
}
