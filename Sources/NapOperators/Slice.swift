import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// A range of every axis, possibly with steps or backward.
package struct Slice: Operator {
  package static let name = "Slice"

  /// The part of one axis that is taken, as ONNX writes it: negative numbers count from the end,
  /// numbers out of range are brought into it.
  package struct Range: Codable, Sendable, Hashable {
    package var axis: Int
    package var start: Int
    package var end: Int
    package var step: Int

    package init(axis: Int, start: Int, end: Int, step: Int = 1) {
      self.axis = axis
      self.start = start
      self.end = end
      self.step = step
    }
  }

  package var ranges: [Range]

  package init(_ ranges: [Range]) { self.ranges = ranges }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    guard let starts = try node.ints("starts", orInput: 1),
      let ends = try node.ints("ends", orInput: 2)
    else { throw OperatorError("starts (input 1) or ends (input 2) are missing") }
    let axes = try node.ints("axes", orInput: 3) ?? Array(starts.indices)
    let steps = try node.ints("steps", orInput: 4) ?? starts.map { _ in 1 }
    guard [ends.count, axes.count, steps.count].allSatisfy({ $0 == starts.count }) else {
      throw OperatorError("starts, ends, axes and steps differ in length")
    }
    let ranges = starts.indices.map {
      Range(axis: axes[$0], start: starts[$0], end: ends[$0], step: steps[$0])
    }
    return try ImportedOperator(Slice(ranges), of: node)
  }

  package func exported() -> ExportedOperator {
    ExportedOperator(
      name,
      constants: [
        1: Tensor(ranges.map(\.start)), 2: Tensor(ranges.map(\.end)), 3: Tensor(ranges.map(\.axis)),
        4: Tensor(ranges.map(\.step)),
      ])
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 1)
    return [try taken(from: inputs[0]).map(\.count)]
  }

  package func link(_ links: inout IndexLinks) {
    for (axis, part) in parts(links.inputShapes[0]).enumerated() {
      if abs(part.step) == 1 {
        for k in 0..<part.count {
          links.unite(.input(0, axis: axis), part.start + k * part.step, .output(0, axis: axis), k)
        }
      } else {
        links.freeze(.input(0, axis: axis), "it is sliced in steps of \(part.step)")
        links.freeze(.output(0, axis: axis), "it is sliced in steps of \(part.step)")
      }
    }
  }

  package func adapted(to cut: NodeCut) -> Slice {
    let shape = cut.inputShapes[0]
    let parts = parts(shape)
    var result = self
    for (n, range) in ranges.enumerated() {
      let axis = range.axis < 0 ? range.axis + shape.count : range.axis
      let kept = cut.keptInputs[0][axis]
      guard kept.count < shape[axis] else { continue }
      let part = parts[axis]
      func remaining(below index: Int) -> Int { kept.count { $0 < index } }
      if part.step > 0 {
        result.ranges[n].start = remaining(below: part.start)
        result.ranges[n].end = remaining(below: part.start + part.count)
      } else {
        let last = remaining(below: part.start - part.count + 1) - 1
        result.ranges[n].start = remaining(below: part.start + 1) - 1
        result.ranges[n].end = last < 0 ? -kept.count - 1 : last
      }
    }
    return result
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    [inputs[0].reading(view(inputs[0].shape))]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let x = inputs[0]
    guard x.isFloat else { return [nil] }
    return [
      Tensor(shape: x.shape, elementType: .float32, writing: [(view(x.shape), cotangents[0])])
    ]
  }

  private func view(_ shape: [Int]) -> StridedView {
    let parts = parts(shape)
    let strides = shape.rowMajorStrides
    return StridedView(
      offset: zip(parts, strides).reduce(0) { $0 + $1.0.start * $1.1 }, shape: parts.map(\.count),
      strides: zip(parts, strides).map { $0.step * $1 })
  }
}

extension Slice {
  /// What is taken of one axis: indices `start, start + step, …`, `count` of them.
  private struct Part {
    var start: Int
    var step: Int
    var count: Int
  }

  private func parts(_ shape: [Int]) -> [Part] {
    do {
      return try taken(from: shape)
    } catch {
      preconditionFailure("Slice was run on a shape it refuses: \(error.problem)")
    }
  }

  private func taken(from shape: [Int]) throws(OperatorError) -> [Part] {
    var parts = shape.map { Part(start: 0, step: 1, count: $0) }
    let axes = try ranges.map(\.axis).axes(ofRank: shape.count)
    for (range, axis) in zip(ranges, axes) {
      guard range.step != 0 else { throw OperatorError("the step of axis \(axis) is 0") }
      parts[axis] = Self.part(range, size: shape[axis])
    }
    return parts
  }

  private static func part(_ range: Range, size: Int) -> Part {
    guard size > 0 else { return Part(start: 0, step: 1, count: 0) }
    // A step beyond the axis takes one index, as does a step of its size: no sum can overflow.
    let step = min(max(range.step, -size), size)
    func position(_ number: Int, _ bounds: ClosedRange<Int>) -> Int {
      min(max(number < 0 ? number + size : number, bounds.lowerBound), bounds.upperBound)
    }
    let bounds = step > 0 ? 0...size : -1...size - 1
    let start = position(range.start, step > 0 ? bounds : 0...size - 1)
    let length =
      step > 0
      ? position(range.end, bounds) - start : start - position(range.end, bounds)
    guard length > 0 else { return Part(start: 0, step: 1, count: 0) }
    return Part(start: start, step: step, count: (length - 1) / abs(step) + 1)
  }
}

extension Slice: MovingOperator {
  package func moves(inputs: [[Int]], outputs: [[Int]]) -> [DataMove] {
    let view = view(inputs[0])
    return [
      DataMove(
        input: 0, output: 0,
        move: StridedMove(
          shape: view.shape, sourceOffset: view.offset, sourceStrides: view.strides,
          destinationStrides: outputs[0].rowMajorStrides))
    ]
  }
}
