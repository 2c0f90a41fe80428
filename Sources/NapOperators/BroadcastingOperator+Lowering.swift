package import NapEngine
import NapGraph
import NapKernels
import NapTensor

extension BroadcastingOperator {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    try lowerBroadcast(node, into: plan)
  }

  /// Loops over rows along which each operand either moves by one element or stays.
  func lowerBroadcast(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let shape = plan.shape(node.outputs[0])
    let rows = BroadcastRows(shape, node.inputs.map(plan.shape))
    let operands = try node.inputs.map { try plan.dense(plan.buffer($0)) }
    let output = plan.define(node.outputs[0], Layout(dense: shape))
    plan.run(name, touching: operands + [output]) { memory in
      let (a, b) = (memory.floats(operands[0]), memory.floats(operands[1]))
      let y = memory.floats(output)
      parallel { part, parts in
        rows.forEach(part, parts) { place, i, j in
          let (a, b, y) = (a + i, b + j, y + place)
          switch (rows.steps[0], rows.steps[1]) {
          case (1, 1): for k in 0..<rows.length { y[k] = Self.value(a[k], b[k]) }
          case (1, _): for k in 0..<rows.length { y[k] = Self.value(a[k], b[0]) }
          default: for k in 0..<rows.length { y[k] = Self.value(a[0], b[k * rows.steps[1]]) }
          }
        }
      }
    }
    return {
      for operand in 0..<2 {
        let value = node.inputs[operand]
        guard plan.needsGradient(value) || plan.trains(value),
          let gradient = try plan.gradient(node.outputs[0]).map(plan.dense)
        else { continue }
        let layout = Layout(dense: plan.shape(value))
        func emit(_ result: BufferID) {
          plan.run("\(name) gradient", touching: operands + [gradient, result]) { memory in
            Self.pull(
              operand, rows, memory.floats(operands[0]), memory.floats(operands[1]),
              memory.floats(gradient), into: memory.floats(result), layout.shape.product)
          }
        }
        if plan.trains(value) {
          try plan.receiveGradient(of: value, layout, emit)
        } else {
          let result = plan.makeBuffer(layout)
          emit(result)
          plan.contribute(result, to: value)
        }
      }
    }
  }

  private static func pull(
    _ operand: Int, _ rows: BroadcastRows, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    _ dy: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    let (sa, sb) = (rows.steps[0], rows.steps[1])
    func slope(_ x: Float, _ y: Float) -> Float {
      let both = derivatives(x, y)
      return operand == 0 ? both.0 : both.1
    }
    if count == rows.count {
      parallel { part, parts in
        rows.forEach(part, parts) { place, i, j in
          for k in 0..<rows.length {
            result[place + k] = slope(a[i + k * sa], b[j + k * sb]) * dy[place + k]
          }
        }
      }
      return
    }
    let step = rows.steps[operand]
    withUnsafeTemporaryAllocation(of: Double.self, capacity: count) { sums in
      sums.initialize(repeating: 0)
      rows.forEach(0, 1) { place, i, j in
        let start = operand == 0 ? i : j
        for k in 0..<rows.length {
          sums[start + k * step] += Double(slope(a[i + k * sa], b[j + k * sb]) * dy[place + k])
        }
      }
      for i in 0..<count { result[i] = Float(sums[i]) }
    }
  }
}

/// The elements of a broadcast result as rows, with where the operands of each row begin.
struct BroadcastRows: Sendable {
  /// Elements of a row.
  let length: Int
  /// By how much each operand moves from element to element: 0 or 1.
  let steps: [Int]
  private let shape: [Int]
  private let strides: [[Int]]

  init(_ output: [Int], _ operands: [[Int]]) {
    // Neighbouring axes are one where no operand starts or stops being broadcast between them.
    var shape: [Int] = []
    var isBroadcast: [[Bool]] = []
    for (axis, size) in output.enumerated() where size != 1 {
      let flags = operands.map { operand in
        let own = axis - (output.count - operand.count)
        return own < 0 || operand[own] == 1
      }
      if flags == isBroadcast.last {
        shape[shape.count - 1] *= size
      } else {
        shape.append(size)
        isBroadcast.append(flags)
      }
    }
    let all = operands.indices.map { operand in
      var strides = [Int](repeating: 0, count: shape.count)
      var step = 1
      for axis in shape.indices.reversed() where !isBroadcast[axis][operand] {
        strides[axis] = step
        step *= shape[axis]
      }
      return strides
    }
    length = shape.last ?? 1
    steps = all.map { $0.last ?? 0 }
    self.shape = Array(shape.dropLast())
    strides = all.map { Array($0.dropLast()) }
  }

  var count: Int { shape.product * length }

  /// Calls `body` for one part of the rows.
  func forEach(
    _ part: Int, _ parts: Int, _ body: (_ place: Int, _ a: Int, _ b: Int) -> Void
  ) {
    let rows = shape.product
    for row in rows * part / parts..<rows * (part + 1) / parts {
      var (rest, a, b) = (row, 0, 0)
      for axis in shape.indices.reversed() {
        let index = rest % shape[axis]
        rest /= shape[axis]
        a += index * strides[0][axis]
        b += index * strides[1][axis]
      }
      body(row * length, a, b)
    }
  }
}
