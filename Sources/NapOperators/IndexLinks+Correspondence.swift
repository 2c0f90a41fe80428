import NapGraph
import NapTensor

extension IndexLinks {
  /// An input and an output of the same shape correspond index by index.
  mutating func uniteAxes(ofInput input: Int = 0, andOutput output: Int = 0) {
    for axis in inputShapes[input].indices {
      unite(.input(input, axis: axis), .output(output, axis: axis))
    }
  }

  /// Two axes correspond where they overlap when the first is shifted by `offset`.
  mutating func unite(_ a: Axis, _ b: Axis, offset: Int) {
    for i in 0..<size(a) where (0..<size(b)).contains(i + offset) { unite(a, i, b, i + offset) }
  }

  /// Input 0 and output 0 hold the same elements in the same order under different shapes.
  ///
  /// Both shapes are cut into the shortest runs of axes with equal products. A run of one axis on
  /// both sides corresponds index by index. Other runs are seen as a box whose sides, the *factors*,
  /// every axis on either side is made of one or more of, as the axis of channels before a channel
  /// shuffle is of groups and channels of a group. The indices of one factor correspond, and all
  /// other axes are frozen; which factor it is, outermost first, is left to the alternatives. Runs
  /// that are no such box are frozen.
  mutating func uniteRowMajor() {
    let (from, to) = (inputShapes[0], outputShapes[0])
    guard !from.contains(0), !to.contains(0) else { return freezeAll("it is empty") }
    var (i, j) = (0, 0)
    while i < from.count || j < to.count {
      let a = i < from.count ? from[i] : nil
      let b = j < to.count ? to[j] : nil
      if a == b {
        unite(.input(0, axis: i), .output(0, axis: j))
        (i, j) = (i + 1, j + 1)
      } else if a == 1 {
        freeze(.input(0, axis: i), "the axis has one index and is removed")
        i += 1
      } else if b == 1 {
        freeze(.output(0, axis: j), "the axis has one index and is inserted")
        j += 1
      } else {
        let (nextI, nextJ) = endOfRun(i, j)
        uniteRun(i..<nextI, j..<nextJ)
        (i, j) = (nextI, nextJ)
      }
    }
  }

  /// Where the shortest runs of axes with equal products that begin at `i` and `j` end.
  private func endOfRun(_ i: Int, _ j: Int) -> (Int, Int) {
    let (from, to) = (inputShapes[0], outputShapes[0])
    var (nextI, nextJ) = (i, j)
    var (a, b) = (1, 1)
    repeat {
      if a <= b, nextI < from.count {
        a *= from[nextI]
        nextI += 1
      } else {
        precondition(nextJ < to.count, "\(from) and \(to) differ in size")
        b *= to[nextJ]
        nextJ += 1
      }
    } while a != b
    return (nextI, nextJ)
  }

  private mutating func uniteRun(_ from: Range<Int>, _ to: Range<Int>) {
    let reason = "the axis is reshaped"
    let (inputs, outputs) = (
      parts(from.map { Axis.input(0, axis: $0) }), parts(to.map { Axis.output(0, axis: $0) })
    )
    let bounds = Set((inputs + outputs).flatMap { [$0.stride, $0.stride * size($0.axis)] }).sorted()
    let factors = zip(bounds, bounds.dropFirst()).map { (stride: $0, size: $1 / $0) }
    let isBox = zip(bounds, bounds.dropFirst()).allSatisfy { $1 % $0 == 0 }
    var free: [Axis] = []
    if isBox, !factors.isEmpty {
      offer(alternatives: factors.count, for: outputs.map(\.axis))
      let factor = factors[factors.count - 1 - alternative % factors.count]
      func part(_ parts: [Part]) -> Part? {
        parts.first { $0.stride <= factor.stride && factor.stride < $0.stride * size($0.axis) }
      }
      if let a = part(inputs), let b = part(outputs) {
        unite(a, b, stride: factor.stride, count: factor.size)
        free = [a.axis, b.axis]
      }
    }
    for part in inputs + outputs where !free.contains(part.axis) { freeze(part.axis, reason) }
  }

  /// An axis of a run and the step in the run's elements from one index to the next.
  private typealias Part = (axis: Axis, stride: Int)

  private func parts(_ axes: [Axis]) -> [Part] {
    var stride = 1
    var result: [Part] = []
    for axis in axes.reversed() {
      result.append((axis, stride))
      stride *= size(axis)
    }
    return result
  }

  /// Indices of two axes correspond that have the same index of a factor both contain.
  private mutating func unite(_ a: Part, _ b: Part, stride: Int, count: Int) {
    func connect(_ a: Part, to b: Part) {
      for p in 0..<size(a.axis) {
        let index = p / (stride / a.stride) % count
        unite(a.axis, p, b.axis, index * (stride / b.stride))
      }
    }
    connect(a, to: b)
    connect(b, to: a)
  }
}
