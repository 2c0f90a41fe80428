import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// The input with a constant number added around it.
package struct Pad: Operator {
  package static let name = "Pad"

  /// How many indices are added before and after every axis.
  package var before: [Int]
  package var after: [Int]
  package var value: Float

  package init(before: [Int], after: [Int], value: Float = 0) {
    self.before = before
    self.after = after
    self.value = value
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let mode = try node.string("mode", default: "constant")
    guard mode == "constant" else {
      throw OperatorError("padding mode '\(mode)' is not supported, only 'constant' is")
    }
    guard let pads = try node.ints("pads", orInput: 1) else {
      throw OperatorError("pads (input 1) are missing")
    }
    let rank = try node.shape(ofInput: 0).count
    let axes = try (node.ints("axes", orInput: 3) ?? Array(0..<rank)).axes(ofRank: rank)
    guard pads.count == 2 * axes.count else {
      throw OperatorError("\(pads.count) pads are given for \(axes.count) axes")
    }
    var pad = Pad(
      before: [Int](repeating: 0, count: rank), after: [Int](repeating: 0, count: rank),
      value: try value(node))
    for (n, axis) in axes.enumerated() {
      pad.before[axis] = pads[n]
      pad.after[axis] = pads[n + axes.count]
    }
    return try ImportedOperator(pad, of: node)
  }

  private static func value(_ node: NodeDescription) throws(OperatorError) -> Float {
    guard let constant = try node.constant(ofInput: 2, "the padding value") else {
      return try node.float("value", default: 0)
    }
    guard let value = constant.converted(to: .float32).floats.first, constant.count == 1 else {
      throw OperatorError("the padding value (input 2) is not a single number")
    }
    return value
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      constants: [1: Tensor(before + after)].merging(
        value == 0 ? [:] : [2: Tensor(shape: [], floats: [value])]
      ) { $1 })
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    let shape = inputs[0]
    guard before.count == shape.count, after.count == shape.count else {
      throw OperatorError("pads for \(before.count) axes do not fit shape \(shape)")
    }
    guard (before + after).allSatisfy({ $0 >= 0 }) else {
      throw OperatorError("negative pads \(before + after) are not supported")
    }
    var result = shape
    for axis in shape.indices {
      for pads in [before, after] {
        let (size, overflow) = result[axis].addingReportingOverflow(pads[axis])
        guard !overflow else { throw OperatorError("pads \(before + after) are too large") }
        result[axis] = size
      }
    }
    _ = try result.elementCount()
    return [result]
  }

  package func link(_ links: inout IndexLinks) {
    for (axis, pad) in before.enumerated() {
      links.unite(.input(0, axis: axis), .output(0, axis: axis), offset: pad)
    }
  }

  package func adapted(to cut: NodeCut) -> Pad {
    var result = self
    for (axis, kept) in cut.keptOutputs[0].enumerated() {
      let end = before[axis] + cut.inputShapes[0][axis]
      result.before[axis] = kept.count { $0 < before[axis] }
      result.after[axis] = kept.count { $0 >= end }
    }
    return result
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let (x, shape) = (inputs[0], inferred(inputs)[0])
    return [
      Tensor(
        shape: shape, elementType: x.elementType, fill: value, writing: [(view(x.shape, shape), x)])
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    guard inputs[0].isFloat else { return [nil] }
    return [cotangents[0].reading(view(inputs[0].shape, outputs[0].shape))]
  }

  private func view(_ input: [Int], _ output: [Int]) -> StridedView {
    StridedView(of: output, origin: before, shape: input)
  }
}

extension Pad: MovingOperator {
  package var filling: Float { value }

  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let view = view(inputs[0], outputs[0])
    return [
      DataMove(
        input: 0, output: 0,
        move: StridedMove(
          shape: view.shape, sourceStrides: inputs[0].rowMajorStrides,
          destinationOffset: view.offset, destinationStrides: view.strides))
    ]
  }
}
