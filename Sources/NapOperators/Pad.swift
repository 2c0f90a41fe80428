import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// The input with something added around it: a constant number, or copies of what it holds.
package struct Pad: Operator {
  package static let name = "Pad"

  /// What is added.
  package enum Mode: String, Codable, Sendable, Hashable, CaseIterable {
    /// A number.
    case constant
    /// The input's indices seen in a mirror at its first and last one, which are not repeated.
    case reflect
    /// The first and the last index again and again.
    case edge
    /// The input's other end, again and again.
    case wrap
  }

  /// How many indices are added before and after every axis.
  package var before: [Int]
  package var after: [Int]
  package var mode: Mode
  /// What is added where the mode is `constant`.
  package var value: Float

  package init(before: [Int], after: [Int], mode: Mode = .constant, value: Float = 0) {
    self.before = before
    self.after = after
    self.mode = mode
    self.value = value
  }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let name = try node.string("mode", default: Mode.constant.rawValue)
    guard let mode = Mode(rawValue: name) else {
      throw OperatorError(
        "there is no padding mode '\(name)'; there are "
          + Mode.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", "))
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
      mode: mode, value: mode == .constant ? try value(node) : 0)
    for (n, axis) in axes.enumerated() {
      pad.before[axis] = pads[n]
      pad.after[axis] = pads[n + axes.count]
    }
    return try ImportedOperator(pad, of: node)
  }

  private static func value(_ node: NodeDescription) throws(OperatorError) -> Float {
    guard let constant = try node.constant(ofInput: 2, "the padding value") else {
      return try node.float("value", default: 0, orInfinite: true)
    }
    guard let value = constant.converted(to: .float32).floats.first, constant.count == 1 else {
      throw OperatorError("the padding value (input 2) is not a single number")
    }
    return value
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name, attributes: mode == .constant ? [:] : ["mode": .string(mode.rawValue)],
      constants: [1: Tensor(before + after)].merging(
        value == 0 ? [:] : [2: Tensor(shape: [], floats: [value])]
      ) { $1 },
      opset: mode == .wrap ? 19 : NodeDescription.exportOpset)
  }

  package func staysFinite(constants: [Tensor?]) -> Bool { value.isFinite }

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
      try checkCopies(axis, size: shape[axis])
      for pads in [before, after] {
        let (size, overflow) = result[axis].addingReportingOverflow(pads[axis])
        guard !overflow else { throw OperatorError("pads \(before + after) are too large") }
        result[axis] = size
      }
    }
    try result.checkedElementCount()
    return [result]
  }

  /// Refuses pads that there is nothing to copy for.
  private func checkCopies(_ axis: Int, size: Int) throws(OperatorError) {
    guard mode != .constant, isPadded(axis) else { return }
    guard size > 0 else {
      throw OperatorError("axis \(axis) is empty: mode '\(mode.rawValue)' has nothing to copy")
    }
    guard mode != .reflect || max(before[axis], after[axis]) < size else {
      throw OperatorError(
        "an axis of size \(size) cannot be reflected for pads of \(before[axis]) and \(after[axis])"
      )
    }
  }

  private func isPadded(_ axis: Int) -> Bool { before[axis] > 0 || after[axis] > 0 }

  package func link(_ links: inout IndexLinks) {
    for axis in before.indices {
      let (from, to) = (Axis.input(0, axis: axis), Axis.output(0, axis: axis))
      guard mode != .constant, isPadded(axis) else {
        links.unite(from, to, offset: before[axis])
        continue
      }
      // An index goes with all its copies.
      let size = links.size(from)
      for (k, index) in sources(axis, size: size).enumerated() { links.unite(from, index, to, k) }
      guard mode == .reflect else { continue }
      // Without the index it stands at, a mirror would stand elsewhere.
      if before[axis] > 0 { links.freeze(from, 0, "the axis is reflected at it") }
      if after[axis] > 0 { links.freeze(from, size - 1, "the axis is reflected at it") }
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
    let x = inputs[0]
    guard mode == .constant else {
      return [
        before.indices.filter(isPadded).reduce(x) {
          $0.selecting(sources($1, size: x.shape[$1]), axis: $1)
        }
      ]
    }
    let shape = inferred(inputs)[0]
    return [
      Tensor(
        shape: shape, elementType: x.elementType, fill: value, writing: [(view(x.shape, shape), x)])
    ]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    guard mode == .constant else {
      return [
        before.indices.filter(isPadded).reduce(cotangents[0]) {
          $0.summing(into: sources($1, size: x.shape[$1]), size: x.shape[$1], axis: $1)
        }
      ]
    }
    return [cotangents[0].reading(view(x.shape, outputs[0].shape))]
  }

  private func view(_ input: [Int], _ output: [Int]) -> StridedView {
    StridedView(of: output, origin: before, shape: input)
  }
}

extension Pad {
  /// Indices of the output of an axis that follow each other, and those of the input they copy.
  private struct Run {
    /// The first index of the output.
    var target: Int
    /// The first index of the input.
    var source: Int
    /// How far it is from one index of the input to the next: 1, 0 or -1.
    var step: Int
    var count: Int

    /// The same, index by index.
    var single: [Run] {
      (0..<count).map { Run(target: target + $0, source: source + $0 * step, step: 1, count: 1) }
    }
  }

  /// What of the output of an axis is copied from its input, which has some size.
  private func runs(_ axis: Int, size: Int) -> [Run] {
    let (before, after) = (before[axis], after[axis])
    let end = before + size
    let middle = Run(target: before, source: 0, step: 1, count: size)
    guard isPadded(axis) else { return [middle] }
    switch mode {
    case .constant: return [middle]
    case .reflect:
      return [
        Run(target: 0, source: before, step: -1, count: before), middle,
        Run(target: end, source: size - 2, step: -1, count: after),
      ].filter { $0.count > 0 }
    case .edge:
      return [
        Run(target: 0, source: 0, step: 0, count: before), middle,
        Run(target: end, source: size - 1, step: 0, count: after),
      ].filter { $0.count > 0 }
    case .wrap:
      var runs: [Run] = []
      var target = 0
      var source = (size - before % size) % size
      while target < end + after {
        let count = min(size - source, end + after - target)
        runs.append(Run(target: target, source: source, step: 1, count: count))
        target += count
        source = 0
      }
      return runs
    }
  }

  /// The index of the input that each index of the output copies.
  private func sources(_ axis: Int, size: Int) -> [Int] {
    runs(axis, size: size).flatMap { run in
      (0..<run.count).map { run.source + $0 * run.step }
    }
  }
}

extension Pad: MovingOperator {
  package var filling: Float { value }

  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let (from, to) = (inputs[0].rowMajorStrides, outputs[0].rowMajorStrides)
    var moves = [StridedMove(shape: [], sourceStrides: [], destinationStrides: [])]
    for (axis, size) in inputs[0].enumerated() {
      var runs = runs(axis, size: size)
      // Threads share the outermost axis: what they write back to must be theirs alone.
      if axis == 0 { runs = runs.flatMap { $0.step == 0 ? $0.single : [$0] } }
      moves = moves.flatMap { move in
        runs.map { run in
          StridedMove(
            shape: move.shape + [run.count],
            sourceOffset: move.sourceOffset + run.source * from[axis],
            sourceStrides: move.sourceStrides + [run.step * from[axis]],
            destinationOffset: move.destinationOffset + run.target * to[axis],
            destinationStrides: move.destinationStrides + [to[axis]])
        }
      }
    }
    return moves.map { DataMove(input: 0, output: 0, move: $0) }
  }
}

extension Tensor {
  /// The sums of what stands at the indices of an axis that go to the same index of a new one.
  ///
  /// - Parameters:
  ///   - targets: where each index of the axis goes.
  ///   - size: the size of the new axis.
  fileprivate func summing(into targets: [Int], size: Int, axis: Int) -> Tensor {
    let (outer, inner) = (shape[..<axis].product, shape[(axis + 1)...].product)
    var result = shape
    result[axis] = size
    var sums = [Double](repeating: 0, count: result.product)
    for o in 0..<outer {
      for (k, target) in targets.enumerated() {
        for i in 0..<inner {
          let from = (o * targets.count + k) * inner + i
          sums[(o * size + target) * inner + i] += Double(floats[from])
        }
      }
    }
    return Tensor(shape: result, floats: sums.map(Float.init))
  }
}
